// SPDX-License-Identifier: Apache-2.0
// Capturing ends on every path: an open capture would make every later call on the stream fail.
#include "harness/verify/capture.hpp"

#include <fmt/format.h>

#include <exception>
#include <string>

#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

std::string words_of(cudaError_t error) {
  return fmt::format("{} ({})", cudaGetErrorString(error), cudaGetErrorName(error));
}

}  // namespace

StreamMark::StreamMark(Stream stream) {
  ASSAY_HARNESS_CUDA(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming));
  ASSAY_HARNESS_CUDA(cudaEventRecord(event_, stream));
}

StreamMark::~StreamMark() {
  static_cast<void>(cudaEventDestroy(event_));
}

bool StreamMark::passed() const {
  const cudaError_t state = cudaEventQuery(event_);
  if (state == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());  // "not ready" would otherwise be found by the next error check
    return false;
  }
  ASSAY_HARNESS_CUDA(state);
  return true;
}

CapturedGraph::CapturedGraph(Stream stream, const std::function<void()>& enqueue) {
  ASSAY_HARNESS_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  std::string thrown;
  try {
    enqueue();
  } catch (const std::exception& error) {
    thrown = error.what();
  } catch (...) {
    thrown = "something that is no std::exception was thrown";
  }
  const cudaError_t ended = cudaStreamEndCapture(stream, &graph_);
  static_cast<void>(cudaGetLastError());
  if (!thrown.empty() || ended != cudaSuccess || graph_ == nullptr) {
    if (graph_ != nullptr) {
      static_cast<void>(cudaGraphDestroy(graph_));
    }
    throw CaptureFailed(!thrown.empty() ? thrown : words_of(ended));
  }
  const cudaError_t made = cudaGraphInstantiate(&executable_, graph_, 0);
  if (made != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    static_cast<void>(cudaGraphDestroy(graph_));
    throw CaptureFailed("the captured graph cannot be instantiated: " + words_of(made));
  }
}

CapturedGraph::~CapturedGraph() {
  static_cast<void>(cudaGraphExecDestroy(executable_));
  static_cast<void>(cudaGraphDestroy(graph_));
}

void CapturedGraph::launch(Stream stream) const {
  ASSAY_HARNESS_CUDA(cudaGraphLaunch(executable_, stream));
}

std::size_t CapturedGraph::nodes() const {
  std::size_t count = 0;
  ASSAY_HARNESS_CUDA(cudaGraphGetNodes(graph_, nullptr, &count));
  return count;
}

}  // namespace assay::harness
