// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/step_graph.hpp"

#include <memory>
#include <stdexcept>
#include <utility>

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::compile {
namespace {

struct DestroyGraph {
  void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
};
using Graph = std::unique_ptr<CUgraph_st, DestroyGraph>;

/// Ends its capture, come what may.
class Capture {
 public:
  explicit Capture(cudaStream_t stream) : stream_(stream) {
    ASSAY_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  }
  ~Capture() {
    if (stream_ == nullptr)
      return;
    cudaGraph_t abandoned = nullptr;
    if (cudaStreamEndCapture(stream_, &abandoned) == cudaSuccess && abandoned != nullptr)
      cudaGraphDestroy(abandoned);
    static_cast<void>(cudaGetLastError());  // of a capture that the work itself broke
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  Graph end() {
    cudaGraph_t graph = nullptr;
    ASSAY_CUDA_CHECK(cudaStreamEndCapture(std::exchange(stream_, nullptr), &graph));
    return Graph(graph);
  }

 private:
  cudaStream_t stream_;
};

}  // namespace

StepGraph::~StepGraph() {
  if (executable_ != nullptr)
    cudaGraphExecDestroy(executable_);
}

void StepGraph::capture(cudaStream_t stream, const std::function<void()>& work) {
  if (stream == nullptr)
    throw std::logic_error("step graph: expected a stream of its own, found the legacy one");
  Capture capture(stream);
  work();
  const Graph graph = capture.end();
  std::size_t nodes = 0;
  ASSAY_CUDA_CHECK(cudaGraphGetNodes(graph.get(), nullptr, &nodes));
  cudaGraphExec_t made = nullptr;
  ASSAY_CUDA_CHECK(cudaGraphInstantiate(&made, graph.get(), 0));
  if (executable_ != nullptr) {
    ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream));
    cudaGraphExecDestroy(executable_);
  }
  executable_ = made, nodes_ = nodes;
  ASSAY_CUDA_CHECK(cudaGraphUpload(executable_, stream));
}

void StepGraph::launch(cudaStream_t stream) const {
  if (executable_ == nullptr)
    throw std::logic_error("step graph: expected a captured graph, found none");
  ASSAY_CUDA_CHECK(cudaGraphLaunch(executable_, stream));
}

}  // namespace assay::kernels::compile
