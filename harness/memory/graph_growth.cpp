// SPDX-License-Identifier: Apache-2.0
// Captures a call as PyTorch would (a memory pool of its own, thread-local capture) and weighs the result.
#include "harness/memory/graph_growth.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <vector>

#include "harness/device/device.hpp"
#include "harness/memory/device_pool.hpp"
#include "harness/memory/low_water.hpp"
#include "harness/memory/stream_pool.hpp"

namespace assay::harness {
namespace {

struct Destroy {
  void operator()(cudaGraph_t graph) const { static_cast<void>(cudaGraphDestroy(graph)); }
  void operator()(cudaGraphExec_t exec) const { static_cast<void>(cudaGraphExecDestroy(exec)); }
};
using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, Destroy>;
using GraphExec = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Destroy>;

/// Null when the call did something that a capture forbids. The stream is out of capture on every way out.
Graph capture(const Invocation& call, Stream stream) {
  ASSAY_HARNESS_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  std::exception_ptr thrown;
  try {
    call(stream);
  } catch (...) {
    thrown = std::current_exception();
  }
  cudaGraph_t captured = nullptr;
  const bool valid = cudaStreamEndCapture(stream, &captured) == cudaSuccess;
  static_cast<void>(cudaGetLastError());
  Graph graph(captured);
  if (valid && thrown) {
    std::rethrow_exception(thrown);
  }
  return valid ? std::move(graph) : nullptr;
}

/// Null when the graph allows no further instance: those with allocations of their own allow one.
GraphExec instantiate(const Graph& graph, Stream stream) {
  cudaGraphExec_t exec = nullptr;
  if (cudaGraphInstantiate(&exec, graph.get(), 0) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  GraphExec owned(exec);
  ASSAY_HARNESS_CUDA(cudaGraphUpload(exec, stream));
  ASSAY_HARNESS_CUDA(cudaStreamSynchronize(stream));
  return owned;
}

/// Bytes taken from the driver and not by allocations inside graphs, up to a constant.
std::int64_t taken_for_graphs() {
  return -driver_free_bytes() - graph_allocation_bytes();
}

/// What the driver takes for one more instance. It keeps the memory of destroyed graphs for later ones, so
/// the first instances may seem free: instances are added until one is not, then averaged over a few. A graph
/// of which 32 instances fit in what was kept costs less than can be told apart from nothing.
std::int64_t instance_bytes(const Graph& graph, Stream stream) {
  constexpr int kMost = 32, kAveraged = 4;
  std::vector<GraphExec> alive;
  const std::int64_t before = taken_for_graphs();
  while (taken_for_graphs() <= before) {
    alive.push_back(instantiate(graph, stream));
    if (alive.back() == nullptr || alive.size() == kMost) {
      return std::max<std::int64_t>(0, taken_for_graphs() - before);
    }
  }
  const std::int64_t full = taken_for_graphs();
  for (int i = 0; i < kAveraged; ++i) {
    alive.push_back(instantiate(graph, stream));
    if (alive.back() == nullptr) {
      return full - before;
    }
  }
  return (taken_for_graphs() - full) / kAveraged;
}

/// What graphs of the call keep allocated: torch's pool of the capture, or allocations inside the graph.
std::int64_t kept_bytes(const Graph& graph, Stream stream, std::int64_t free_before,
                        std::int64_t graph_before) {
  const std::int64_t pool = free_before - driver_free_bytes();
  const GraphExec exec = instantiate(graph, stream);
  return std::max<std::int64_t>(0, pool) + graph_allocation_bytes() - graph_before;
}

std::optional<std::int64_t> growth_while_alive(const Invocation& call, Stream stream) {
  trim_pool();
  const std::int64_t free_before = driver_free_bytes();
  const std::int64_t graph_before = graph_allocation_bytes();
  CapturePool pool(stream);
  const Graph graph = capture(call, stream);
  pool.end_capture();
  if (graph == nullptr) {
    return std::nullopt;
  }
  const std::int64_t kept = kept_bytes(graph, stream, free_before, graph_before);
  return kept + instance_bytes(graph, stream);
}

}  // namespace

std::optional<std::int64_t> graph_growth_bytes(const Invocation& call, Stream stream) {
  // What the driver sets up once a process for graphs is nobody's cost.
  static_cast<void>(growth_while_alive([](Stream s) { enqueue_delay(s, 0); }, stream));
  const std::optional<std::int64_t> growth = growth_while_alive(call, stream);
  trim_pool();
  return growth;
}

}  // namespace assay::harness
