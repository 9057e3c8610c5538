// SPDX-License-Identifier: Apache-2.0
// A kernel that ignores the stream it is given is missing from a captured graph: its output is stale on every
// replay. GPU only.
#include "suites/conformance/graph_defect.hpp"

#include <cuda_runtime_api.h>

#include <array>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "harness/core/tensor.hpp"
#include "kernels/nf4/dequantize.hpp"
#include "suites/conformance/paths.hpp"

namespace assay::suites::conformance {
namespace {

using kernels::nf4::DequantizeArgs;
using Enqueue = std::function<void(const DequantizeArgs&, cudaStream_t)>;

constexpr std::int64_t kCount = 8192;

void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

struct Stream {
  cudaStream_t handle = nullptr;
  Stream() { require(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "cudaStreamCreate"); }
  ~Stream() { cudaStreamDestroy(handle); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

struct Graph {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  Graph() = default;
  ~Graph() {
    if (exec != nullptr)
      cudaGraphExecDestroy(exec);
    if (graph != nullptr)
      cudaGraphDestroy(graph);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
};

/// Codes of 1 and -1 with an absmax of 2: every weight is 2 or -2.
harness::TensorSet weights() {
  harness::TensorSet host(harness::DeviceKind::kCpu);
  const harness::TensorView packed = host.add({"packed", harness::Dtype::kUint8, {kCount / 2}});
  std::memset(packed.data, 0xF0, packed.bytes());
  const harness::TensorView absmax = host.add({"absmax", harness::Dtype::kFloat32, {kCount / 64}});
  std::fill_n(absmax.as<float>(), kCount / 64, 2.0f);
  host.add({"out", harness::Dtype::kFloat16, {kCount}});
  return host.copy_to(harness::DeviceKind::kCuda);
}

/// The call is captured, what it wrote eagerly is wiped, and one replay must write all of it again.
void check_replay(const Enqueue& enqueue) {
  const harness::TensorSet set = weights();
  DequantizeArgs args;
  args.weights.packed = set.at("packed").as<std::uint8_t>(), args.weights.num_weights = kCount;
  args.weights.absmax = set.at("absmax").as<float>();
  args.out = set.at("out").data, args.out_type = kernels::nf4::ScalarType::kFloat16;
  const Stream stream;
  Graph graph;
  require(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  enqueue(args, stream.handle);
  require(cudaStreamEndCapture(stream.handle, &graph.graph), "cudaStreamEndCapture");
  require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  require(cudaMemset(args.out, 0xFF, set.at("out").bytes()), "cudaMemset");
  require(cudaGraphInstantiate(&graph.exec, graph.graph, 0), "cudaGraphInstantiate");
  require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  require(cudaGraphLaunch(graph.exec, stream.handle), "cudaGraphLaunch");
  require(cudaStreamSynchronize(stream.handle), "cudaStreamSynchronize");
  std::array<std::uint16_t, kCount> out;
  require(cudaMemcpy(out.data(), args.out, sizeof out, cudaMemcpyDeviceToHost), "cudaMemcpy");
  for (std::int64_t i = 0; i < kCount; ++i)
    demand(out[i] == (i % 2 == 0 ? 0x4000 : 0xC000), "2 and -2 after a replay of the graph",
           "element " + std::to_string(i) + " unwritten");
}

void ours(const DequantizeArgs& args, cudaStream_t stream) {
  kernels::nf4::dequantize(args, stream);
}

void on_another_stream(const DequantizeArgs& args, cudaStream_t) {
  const Stream other;
  kernels::nf4::dequantize(args, other.handle);
  require(cudaStreamSynchronize(other.handle), "cudaStreamSynchronize");
}

}  // namespace

Defect graph_defect() {
  Defect out = defect(
      {"bitsandbytes-foundation/bitsandbytes", 1308,
       "dequantize runs on a stream of its own, so a captured graph does not hold it", kDequantizeCuda},
      ours, on_another_stream, check_replay);
  out.needs_gpu = true;
  return out;
}

}  // namespace assay::suites::conformance
