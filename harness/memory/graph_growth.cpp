// SPDX-License-Identifier: Apache-2.0
// Captures a call as PyTorch would (a memory pool of its own, thread-local capture) and weighs the result.
#include "harness/memory/graph_growth.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <memory>

#include "harness/core/outcome.hpp"
#include "harness/device/device.hpp"
#include "harness/memory/device_pool.hpp"
#include "harness/memory/low_water.hpp"

namespace assay::harness {
namespace {

struct DestroyGraph {
  void operator()(cudaGraph_t graph) const { static_cast<void>(cudaGraphDestroy(graph)); }
  void operator()(cudaGraphExec_t exec) const { static_cast<void>(cudaGraphExecDestroy(exec)); }
};
using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, DestroyGraph>;
using GraphExec = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, DestroyGraph>;

/// Null when the call cannot be captured. The stream is out of capture on every return.
Graph capture(const Invocation& call, Stream stream) {
  ASSAY_HARNESS_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  bool threw = false;
  try {
    call(stream);
  } catch (const OutOfMemory&) {
    cudaGraph_t unfinished = nullptr;
    static_cast<void>(cudaStreamEndCapture(stream, &unfinished));
    const Graph owned(unfinished);
    static_cast<void>(cudaGetLastError());
    throw;
  } catch (const std::exception&) {
    threw = true;
  }
  cudaGraph_t captured = nullptr;
  const bool ended = cudaStreamEndCapture(stream, &captured) == cudaSuccess;
  static_cast<void>(cudaGetLastError());
  Graph graph(captured);
  return ended && !threw ? std::move(graph) : nullptr;
}

std::int64_t growth_while_alive(const Invocation& call, Stream stream) {
  trim_pool();
  const std::int64_t free_before = driver_free_bytes();
  CapturePool pool(stream);
  const Graph graph = capture(call, stream);
  pool.end_capture();
  if (graph == nullptr) {
    return 0;
  }
  cudaGraphExec_t instantiated = nullptr;
  ASSAY_HARNESS_CUDA(cudaGraphInstantiate(&instantiated, graph.get(), 0));
  const GraphExec exec(instantiated);
  ASSAY_HARNESS_CUDA(cudaGraphUpload(exec.get(), stream));
  ASSAY_HARNESS_CUDA(cudaStreamSynchronize(stream));
  return std::max<std::int64_t>(0, free_before - driver_free_bytes());
}

/// What the driver sets up once a process for graphs is nobody's cost.
void warm_up_graphs(Stream stream) {
  static_cast<void>(growth_while_alive([](Stream s) { enqueue_delay(s, 0); }, stream));
}

}  // namespace

std::int64_t graph_growth_bytes(const Invocation& call, Stream stream) {
  warm_up_graphs(stream);
  const std::int64_t growth = growth_while_alive(call, stream);
  trim_pool();
  return growth;
}

}  // namespace assay::harness
