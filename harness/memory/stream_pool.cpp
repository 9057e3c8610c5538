// SPDX-License-Identifier: Apache-2.0
// Counters of the driver's stream-ordered pool.
#include "harness/memory/stream_pool.hpp"

#include <cuda_runtime_api.h>

#include <optional>

#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

int current_device() {
  int device = 0;
  ASSAY_HARNESS_CUDA(cudaGetDevice(&device));
  return device;
}

std::optional<cudaMemPool_t> pool() {
  const int device = current_device();
  int supported = 0;
  ASSAY_HARNESS_CUDA(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device));
  if (supported == 0) {
    return std::nullopt;
  }
  cudaMemPool_t pool = nullptr;
  ASSAY_HARNESS_CUDA(cudaDeviceGetDefaultMemPool(&pool, device));
  return pool;
}

std::int64_t read(cudaMemPool_t pool, cudaMemPoolAttr which) {
  std::uint64_t value = 0;
  ASSAY_HARNESS_CUDA(cudaMemPoolGetAttribute(pool, which, &value));
  return static_cast<std::int64_t>(value);
}

void reset(cudaMemPool_t pool, cudaMemPoolAttr which) {
  std::uint64_t zero = 0;  // the only value allowed; the peak becomes the present value
  ASSAY_HARNESS_CUDA(cudaMemPoolSetAttribute(pool, which, &zero));
}

}  // namespace

PoolBytes stream_pool_bytes() {
  const std::optional<cudaMemPool_t> found = pool();
  if (!found) {
    return {};
  }
  return {read(*found, cudaMemPoolAttrUsedMemCurrent), read(*found, cudaMemPoolAttrUsedMemHigh),
          read(*found, cudaMemPoolAttrReservedMemCurrent), read(*found, cudaMemPoolAttrReservedMemHigh)};
}

void reset_stream_pool_peaks() {
  if (const std::optional<cudaMemPool_t> found = pool()) {
    reset(*found, cudaMemPoolAttrUsedMemHigh);
    reset(*found, cudaMemPoolAttrReservedMemHigh);
  }
}

std::int64_t graph_allocation_bytes() {
  std::uint64_t bytes = 0;
  if (pool()) {
    ASSAY_HARNESS_CUDA(
        cudaDeviceGetGraphMemAttribute(current_device(), cudaGraphMemAttrReservedMemCurrent, &bytes));
  }
  return static_cast<std::int64_t>(bytes);
}

void trim_stream_pool() {
  ASSAY_HARNESS_CUDA(cudaDeviceSynchronize());
  if (const std::optional<cudaMemPool_t> found = pool()) {
    ASSAY_HARNESS_CUDA(cudaMemPoolTrimTo(*found, 0));
    ASSAY_HARNESS_CUDA(cudaDeviceGraphMemTrim(current_device()));
  }
}

}  // namespace assay::harness
