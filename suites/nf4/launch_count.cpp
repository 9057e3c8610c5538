// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/launch_count.hpp"

#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include "harness/device/device.hpp"

namespace assay::suites::nf4 {

LaunchCount count_launches(const harness::Invocation& call) {
  const harness::OwnedStream stream(harness::DeviceKind::kCuda);
  cudaGraph_t captured = nullptr;
  ASSAY_HARNESS_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    call(stream);
  } catch (...) {
    cudaStreamEndCapture(stream, &captured);
    if (captured != nullptr)
      cudaGraphDestroy(captured);
    throw;
  }
  ASSAY_HARNESS_CUDA(cudaStreamEndCapture(stream, &captured));
  const std::unique_ptr<CUgraph_st, void (*)(cudaGraph_t)> graph(captured,
                                                                 [](cudaGraph_t g) { cudaGraphDestroy(g); });
  std::size_t nodes = 0;
  ASSAY_HARNESS_CUDA(cudaGraphGetNodes(captured, nullptr, &nodes));
  std::vector<cudaGraphNode_t> all(nodes);
  ASSAY_HARNESS_CUDA(cudaGraphGetNodes(captured, all.data(), &nodes));
  LaunchCount count;
  for (const cudaGraphNode_t node : all) {
    cudaGraphNodeType type{};
    ASSAY_HARNESS_CUDA(cudaGraphNodeGetType(node, &type));
    ++(type == cudaGraphNodeTypeKernel ? count.kernels : count.others);
  }
  return count;
}

}  // namespace assay::suites::nf4
