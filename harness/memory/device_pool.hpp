// SPDX-License-Identifier: Apache-2.0
// The device allocator that implementations draw on: torch's caching allocator, or without torch the driver's
// stream-ordered pool. Both count their own bytes. Internal to this room; needs a GPU.
#pragma once

#include <cstddef>
#include <cstdint>

#include "harness/core/challenge.hpp"

namespace assay::harness {

/// Throws OutOfMemory. `stream` orders reuse: the bytes may still be in use by earlier work on it.
void* take_from_pool(std::size_t bytes, Stream stream);
void return_to_pool(void* data, Stream stream) noexcept;

struct PoolBytes {
  std::int64_t allocated = 0, allocated_peak = 0;  ///< handed out
  std::int64_t reserved = 0, reserved_peak = 0;    ///< taken from the driver
};
PoolBytes pool_bytes();
/// Peaks start again from the present values.
void reset_pool_peaks();
/// Gives what is reserved and unused back to the driver (blocking).
void trim_pool();

/// What PyTorch does around a capture: allocations on `stream` come from a pool of their own, whose memory
/// the graph keeps, because a replay needs the captured addresses. The destructor releases the pool. Without
/// torch the capture itself turns allocations into graph memory nodes, and this does nothing.
class CapturePool {
 public:
  explicit CapturePool(Stream stream);
  ~CapturePool();
  CapturePool(const CapturePool&) = delete;
  CapturePool& operator=(const CapturePool&) = delete;
  /// The capture has ended: allocations go to the usual pool again, the graph's memory stays.
  void end_capture();

 private:
  std::uint64_t id_ = 0;
  int device_ = 0;
  bool capturing_ = false;
};

}  // namespace assay::harness
