// SPDX-License-Identifier: Apache-2.0
// The device allocator of a build without torch: the driver's stream-ordered pool.
#ifndef ASSAY_TORCH

#include "harness/memory/device_pool.hpp"

#include <cuda_runtime_api.h>

#include "harness/device/device.hpp"
#include "harness/memory/stream_pool.hpp"

namespace assay::harness {

void* take_from_pool(std::size_t bytes, Stream stream) {
  void* data = nullptr;
  ASSAY_HARNESS_CUDA(cudaMallocAsync(&data, bytes, stream));
  return data;
}

void return_to_pool(void* data, Stream stream) noexcept {
  static_cast<void>(cudaFreeAsync(data, stream));
}

PoolBytes pool_bytes() {
  return stream_pool_bytes();
}

void reset_pool_peaks() {
  reset_stream_pool_peaks();
}

void trim_pool() {
  trim_stream_pool();
}

CapturePool::CapturePool(Stream) {}
CapturePool::~CapturePool() = default;
void CapturePool::end_capture() {}

}  // namespace assay::harness

#endif
