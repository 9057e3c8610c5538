// SPDX-License-Identifier: Apache-2.0
// A CUDA graph of what was enqueued between begin and end of a capture.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

namespace assay::kernels::compile {

class StepGraph {
 public:
  StepGraph() = default;
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  /// Captures what `work` enqueues on `stream` (no legacy stream, not capturing), makes it executable and
  /// uploads it; what was captured before is gone, once the device has finished with it. An exception of
  /// `work` ends the capture, leaves what was there and passes on. Throws std::runtime_error with CUDA's
  /// message.
  void capture(cudaStream_t stream, const std::function<void()>& work);
  bool is_captured() const { return executable_ != nullptr; }
  std::size_t nodes() const { return nodes_; }
  /// Enqueues one run; throws std::logic_error where nothing is captured.
  void launch(cudaStream_t stream) const;

 private:
  cudaGraphExec_t executable_ = nullptr;
  std::size_t nodes_ = 0;
};

}  // namespace assay::kernels::compile
