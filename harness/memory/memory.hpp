// SPDX-License-Identifier: Apache-2.0
// Peak memory of one call above its inputs and outputs, in a run of its own (never while timing). Components:
//   tensors        CUDA: peak of torch's caching allocator; CPU: peak of the process heap, counted
//   reserved       CUDA: what that allocator took from the driver
//   graph_pool     growth of device memory by capturing and instantiating the call as a CUDA graph, beyond
//                  what the call took without one: a graph keeps the same temporaries, which count once
//   outside_torch  low-water mark of the driver's free memory, less what torch reserved
#pragma once

#include "harness/core/challenge.hpp"
#include "harness/core/outcome.hpp"

namespace assay::harness {

/// `call` is prepared with CallStyle::kAllocating and warmed up here before the window opens. `output_bytes`
/// of what it allocates are its outputs, and leave `tensors`.
Memory measure_memory(const Invocation& call, DeviceKind device, std::int64_t output_bytes = 0);

/// Allocation through torch's caching allocator (CUDA) or the heap (CPU): what an implementation's
/// kAllocating call uses for outputs and temporaries. Without torch: stream-ordered cudaMallocAsync.
class Scratch {
 public:
  Scratch(std::size_t bytes, DeviceKind device, Stream stream);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  DeviceKind device_;
  Stream stream_;
};

}  // namespace assay::harness
