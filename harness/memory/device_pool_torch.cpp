// SPDX-License-Identifier: Apache-2.0
// The device allocator of a build with torch: its caching allocator, through c10's headers alone.
#ifdef ASSAY_TORCH

#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime_api.h>
#include <torch/headeronly/version.h>

#include <atomic>

#include "harness/core/outcome.hpp"
#include "harness/device/device.hpp"
#include "harness/memory/device_pool.hpp"
#include "harness/memory/stream_pool.hpp"

namespace assay::harness {
namespace {

namespace caching = c10::cuda::CUDACachingAllocator;
using c10::CachingAllocator::StatType;

const bool kTorchIsNamed = (set_torch_version(TORCH_VERSION), true);
const bool kCacheIsGivenBack = (release_cached_memory_with([] { caching::emptyCache(); }), true);

/// at::Context starts the allocator in programs that link all of torch; this one links c10 alone. Starting
/// twice does nothing.
caching::CUDAAllocator& allocator() {
  static caching::CUDAAllocator* const started = [] {
    int devices = 0;
    ASSAY_HARNESS_CUDA(cudaGetDeviceCount(&devices));
    caching::init(devices);
    return caching::get();
  }();
  return *started;
}

c10::DeviceIndex current_device() {
  int device = 0;
  ASSAY_HARNESS_CUDA(cudaGetDevice(&device));
  return static_cast<c10::DeviceIndex>(device);
}

/// Torch asks its current stream whether a capture is under way; ours captures on a stream that torch does
/// not know, so its calls of the driver would be refused.
class RelaxedCapture {
 public:
  RelaxedCapture() { exchange(); }
  ~RelaxedCapture() { exchange(); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  void exchange() { static_cast<void>(cudaThreadExchangeStreamCaptureMode(&mode_)); }
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

/// Torch numbers its own pools from 1 upwards.
std::uint64_t next_pool_id() {
  static std::atomic<std::uint64_t> next = std::uint64_t{1} << 62;
  return next++;
}

}  // namespace

void* take_from_pool(std::size_t bytes, Stream stream) {
  const RelaxedCapture relaxed;
  try {
    return allocator().raw_alloc_with_stream(bytes, stream);
  } catch (const c10::OutOfMemoryError& error) {
    throw OutOfMemory(error.what_without_backtrace());
  }
}

void return_to_pool(void* data, Stream) noexcept {
  allocator().raw_delete(data);
}

PoolBytes pool_bytes() {
  const auto stats = allocator().getDeviceStats(current_device());
  const auto all = static_cast<std::size_t>(StatType::AGGREGATE);
  return {stats.allocated_bytes[all].current, stats.allocated_bytes[all].peak,
          stats.reserved_bytes[all].current, stats.reserved_bytes[all].peak};
}

void reset_pool_peaks() {
  allocator().resetPeakStats(current_device());
  reset_stream_pool_peaks();
}

void trim_pool() {
  trim_stream_pool();
  allocator().emptyCache();
}

CapturePool::CapturePool(Stream stream) : id_(next_pool_id()), device_(current_device()), capturing_(true) {
  allocator().beginAllocateToPool(static_cast<c10::DeviceIndex>(device_), {id_, 0},
                                  [stream](cudaStream_t other) { return other == stream; });
}

void CapturePool::end_capture() {
  if (capturing_) {
    allocator().endAllocateToPool(static_cast<c10::DeviceIndex>(device_), {id_, 0});
    capturing_ = false;
  }
}

CapturePool::~CapturePool() {
  end_capture();
  allocator().releasePool(static_cast<c10::DeviceIndex>(device_), {id_, 0});
}

}  // namespace assay::harness

#endif
