// SPDX-License-Identifier: Apache-2.0
// Streams and raw memory, owned.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <utility>

#include "harness/core/outcome.hpp"
#include "harness/device/device.hpp"
#include "harness/device/host_facts.hpp"

namespace assay::harness {
namespace {

constexpr std::size_t kAlignment = 256;

/// Linux promises more memory than there is and ends the process when it is touched, so large requests are
/// checked.
void require_host_memory(std::size_t bytes) {
  constexpr std::size_t kWorthChecking = std::size_t{64} << 20;
  if (bytes < kWorthChecking) {
    return;
  }
  const std::size_t available = available_host_bytes();
  if (bytes > available) {
    throw OutOfMemory(fmt::format("needed {} bytes of host memory, found {} available; use a smaller case",
                                  bytes, available));
  }
}

std::byte* take_host(std::size_t bytes) {
  require_host_memory(bytes);
  void* data = nullptr;
  if (::posix_memalign(&data, kAlignment, bytes > 0 ? bytes : 1) != 0) {
    throw OutOfMemory(fmt::format("the heap refused {} bytes; use a smaller case", bytes));
  }
  return static_cast<std::byte*>(data);
}

/// Of libraries that keep freed device memory for themselves.
std::function<void()>& releases_cached_memory() {
  static std::function<void()> release;
  return release;
}

std::byte* take_device(std::size_t bytes) {
  void* data = nullptr;
  cudaError_t error = cudaMalloc(&data, bytes > 0 ? bytes : 1);
  if (error == cudaErrorMemoryAllocation && releases_cached_memory()) {
    static_cast<void>(cudaGetLastError());
    releases_cached_memory()();
    error = cudaMalloc(&data, bytes > 0 ? bytes : 1);
  }
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw OutOfMemory(fmt::format("the device refused {} bytes; use a smaller case", bytes));
  }
  ASSAY_HARNESS_CUDA(error);
  return static_cast<std::byte*>(data);
}

}  // namespace

void release_cached_memory_with(std::function<void()> release) {
  releases_cached_memory() = std::move(release);
}

OwnedStream::OwnedStream(DeviceKind kind) {
  if (kind == DeviceKind::kCuda) {
    ASSAY_HARNESS_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
}

OwnedStream::~OwnedStream() {
  if (stream_ != nullptr) {
    static_cast<void>(cudaStreamDestroy(stream_));
  }
}

void OwnedStream::synchronize() const {
  if (stream_ != nullptr) {
    ASSAY_HARNESS_CUDA(cudaStreamSynchronize(stream_));
  }
}

void synchronize_device(DeviceKind kind) {
  if (kind == DeviceKind::kCuda) {
    ASSAY_HARNESS_CUDA(cudaDeviceSynchronize());
  }
}

DeviceBuffer::DeviceBuffer(std::size_t bytes, DeviceKind kind)
    : data_(kind == DeviceKind::kCpu ? take_host(bytes) : take_device(bytes)), bytes_(bytes), kind_(kind) {}

DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      kind_(other.kind_) {}

DeviceBuffer::~DeviceBuffer() {
  if (kind_ == DeviceKind::kCpu) {
    std::free(data_);
  } else if (data_ != nullptr) {
    static_cast<void>(cudaFree(data_));
  }
}

}  // namespace assay::harness
