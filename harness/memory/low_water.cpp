// SPDX-License-Identifier: Apache-2.0
// Samples the driver's free memory beside the device allocator's own count.
#include "harness/memory/low_water.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "harness/device/device.hpp"
#include "harness/memory/device_pool.hpp"
#include "harness/memory/stream_pool.hpp"

namespace assay::harness {

std::int64_t driver_free_bytes() {
  std::size_t free = 0, total = 0;
  ASSAY_HARNESS_CUDA(cudaMemGetInfo(&free, &total));
  return static_cast<std::int64_t>(free);
}

LowWater::LowWater() {
  ASSAY_HARNESS_CUDA(cudaGetDevice(&device_));
  free_at_opening_ = driver_free_bytes();
  reserved_at_opening_ = pool_bytes().reserved;
  stream_pool_at_opening_ = stream_pool_bytes().reserved;
  thread_ = std::thread([this] { watch(); });
  running_.wait(false);
}

LowWater::~LowWater() {
  if (thread_.joinable()) {
    stop_ = true;
    thread_.join();
  }
}

/// Two counters cannot be read at once: a sample counts only if the allocator's did not move around it.
void LowWater::sample() {
  const std::int64_t reserved_before = pool_bytes().reserved;
  const std::int64_t free = driver_free_bytes();
  if (pool_bytes().reserved == reserved_before) {
    largest_ = std::max(largest_, free_at_opening_ - free - (reserved_before - reserved_at_opening_));
  }
}

void LowWater::announce() {
  running_ = true;
  running_.notify_one();
}

void LowWater::watch() {
  try {
    ASSAY_HARNESS_CUDA(cudaSetDevice(device_));
    sample();
    announce();
    while (!stop_) {
      sample();
      std::this_thread::yield();
    }
  } catch (const std::exception&) {
    // A sticky error of the measured call; stop() meets it again on the caller's thread and throws there.
    announce();
  }
}

std::int64_t LowWater::stop() {
  stop_ = true;
  thread_.join();
  sample();
#ifdef ASSAY_TORCH
  return std::max(largest_, stream_pool_bytes().reserved_peak - stream_pool_at_opening_);
#else
  return largest_;  // the stream-ordered pool is the device allocator here
#endif
}

}  // namespace assay::harness
