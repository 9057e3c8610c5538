// SPDX-License-Identifier: Apache-2.0
// CUDA events and graphs, owned, as the checks need them.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <stdexcept>

#include "harness/core/challenge.hpp"

namespace assay::harness {

/// A point of a stream.
class StreamMark {
 public:
  explicit StreamMark(Stream stream);
  ~StreamMark();
  StreamMark(const StreamMark&) = delete;
  StreamMark& operator=(const StreamMark&) = delete;
  bool passed() const;

 private:
  cudaEvent_t event_ = nullptr;
};

/// Why work could not be captured, in CUDA's or the implementation's words.
struct CaptureFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Work captured from a stream and instantiated. The stream is out of capture mode again whatever happens.
class CapturedGraph {
 public:
  CapturedGraph(Stream stream, const std::function<void()>& enqueue);
  ~CapturedGraph();
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;
  void launch(Stream stream) const;
  std::size_t nodes() const;

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace assay::harness
