// SPDX-License-Identifier: Apache-2.0
// Owners of CUDA events and graphs, and the one way device time is taken. Each owner exists before work is
// queued, so an exception on the way leaves nothing behind.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <utility>

#include "harness/device/device.hpp"

namespace assay::harness {

class Event {
 public:
  Event() { ASSAY_HARNESS_CUDA(cudaEventCreate(&event_)); }
  ~Event() { static_cast<void>(cudaEventDestroy(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Time between two events around work that the host finishes queueing before the device starts on it:
/// otherwise the first event is stamped while the launch is still on its way, and host latency counts as
/// device time.
class EventTimer {
 public:
  static constexpr double kLeastDelayUs = 20.0, kMostDelayUs = 20000.0;

  /// `queue_us`: how long the host takes to queue the work.
  explicit EventTimer(double queue_us) : delay_us_(bounded(kLeastDelayUs + 3.0 * queue_us)) {}

  template <class Work>
  double time_ns(Stream stream, Work&& work) {
    enqueue_delay(stream, delay_us_);
    ASSAY_HARNESS_CUDA(cudaEventRecord(start_, stream));
    std::forward<Work>(work)();
    ASSAY_HARNESS_CUDA(cudaEventRecord(stop_, stream));
    const bool host_was_late = cudaEventQuery(start_) == cudaSuccess;
    static_cast<void>(cudaGetLastError());  // cudaErrorNotReady is the answer hoped for
    ASSAY_HARNESS_CUDA(cudaEventSynchronize(stop_));
    if (host_was_late) {
      ++late_;
      delay_us_ = bounded(2.0 * delay_us_);
    }
    float ms = 0;
    ASSAY_HARNESS_CUDA(cudaEventElapsedTime(&ms, start_, stop_));
    return 1e6 * static_cast<double>(ms);
  }

  /// Timings whose start event was stamped before all work was queued.
  int late() const { return late_; }

 private:
  static double bounded(double us) { return std::clamp(us, kLeastDelayUs, kMostDelayUs); }

  Event start_, stop_;
  double delay_us_;
  int late_ = 0;
};

class Graph {
 public:
  Graph() = default;
  explicit Graph(cudaGraph_t graph) : graph_(graph) {}
  ~Graph() { reset(); }
  Graph(Graph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  Graph& operator=(Graph&& other) noexcept {
    std::swap(graph_, other.graph_);
    return *this;
  }
  cudaGraph_t get() const { return graph_; }

 private:
  void reset() {
    if (graph_ != nullptr) {
      static_cast<void>(cudaGraphDestroy(graph_));
    }
  }
  cudaGraph_t graph_ = nullptr;
};

class GraphExec {
 public:
  explicit GraphExec(const Graph& graph) { ASSAY_HARNESS_CUDA(cudaGraphInstantiate(&exec_, graph.get(), 0)); }
  ~GraphExec() { static_cast<void>(cudaGraphExecDestroy(exec_)); }
  GraphExec(const GraphExec&) = delete;
  GraphExec& operator=(const GraphExec&) = delete;
  operator cudaGraphExec_t() const { return exec_; }

 private:
  cudaGraphExec_t exec_ = nullptr;
};

/// A capture that ends, one way or the other, with this object.
class Capture {
 public:
  explicit Capture(Stream stream) : stream_(stream) {
    // Thread-local: a progress line's thread may use CUDA meanwhile.
    ASSAY_HARNESS_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  }
  ~Capture() {
    if (open_) {
      const Graph unfinished = end();
    }
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  /// What was captured; null when the capture was invalidated, with CUDA's reason in `error`.
  Graph end(cudaError_t* error = nullptr) {
    open_ = false;
    cudaGraph_t graph = nullptr;
    const cudaError_t result = cudaStreamEndCapture(stream_, &graph);
    if (error != nullptr) {
      *error = result;
    }
    static_cast<void>(cudaGetLastError());
    return Graph(graph);
  }

 private:
  Stream stream_;
  bool open_ = true;
};

}  // namespace assay::harness
