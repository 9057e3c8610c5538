// SPDX-License-Identifier: Apache-2.0
// How far the driver's free memory fell while a window was open, beyond what the device allocator accounts
// for. Other processes on the GPU count too: memory is measured on a GPU of one's own. Internal to this room;
// needs a GPU.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace assay::harness {

/// Free bytes of the current device, as the driver says.
std::int64_t driver_free_bytes();

class LowWater {
 public:
  /// Returns once the sampling thread runs.
  LowWater();
  ~LowWater();
  LowWater(const LowWater&) = delete;
  LowWater& operator=(const LowWater&) = delete;

  /// Closes the window. Sampled before, during (from a thread, every few microseconds) and after; what lived
  /// shorter than the distance of two samples is missed, except in the stream-ordered pool, which keeps its
  /// own peak.
  std::int64_t stop();

 private:
  void sample();
  void announce();
  void watch();

  int device_ = 0;
  std::int64_t free_at_opening_ = 0, reserved_at_opening_ = 0, stream_pool_at_opening_ = 0;
  std::int64_t largest_ = 0;
  std::atomic<bool> running_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace assay::harness
