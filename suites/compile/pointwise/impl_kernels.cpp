// SPDX-License-Identifier: Apache-2.0
// Candidates: kernels/llama on the GPU, and on the CPU on one thread and on all cores.
#include "harness/core/registry.hpp"
#include "suites/compile/pointwise/kernel_adapter.hpp"

namespace assay::suites::compile {
namespace {

namespace ours = kernels::llama;
using harness::DeviceKind;
using harness::Stream;

PointwiseKernels gpu_kernels() {
  return {[](const auto& args, Stream stream) { ours::rms_norm(args, stream); },
          [](const auto& args, Stream stream) { ours::rms_norm_backward(args, stream); },
          [](const auto& args, Stream stream) { ours::rope(args, stream); },
          [](const auto& args, Stream stream) { ours::swiglu(args, stream); },
          [](const auto& args, Stream stream) { ours::swiglu_backward(args, stream); }};
}

PointwiseKernels cpu_kernels(int threads) {
  return {[=](const auto& args, Stream) { ours::rms_norm_cpu(args, threads); },
          [=](const auto& args, Stream) { ours::rms_norm_backward_cpu(args, threads); },
          [=](const auto& args, Stream) { ours::rope_cpu(args, threads); },
          [=](const auto& args, Stream) { ours::swiglu_cpu(args, threads); },
          [=](const auto& args, Stream) { ours::swiglu_backward_cpu(args, threads); }};
}

std::vector<std::string> sources_of(Piece piece, DeviceKind device) {
  const std::string stem = std::string("kernels/llama/") + (piece == Piece::kRmsNorm ? "rms_norm"
                                                            : piece == Piece::kRope  ? "rope"
                                                                                     : "swiglu");
  std::vector<std::string> sources = {stem + ".hpp", "kernels/llama/check.cpp",
                                      "kernels/llama/element_type.hpp", "kernels/llama/pointwise_config.cpp"};
  if (device == DeviceKind::kCpu) {
    sources.insert(sources.end(),
                   {stem + "_cpu.cpp", "kernels/llama/cpu_rows-inl.hpp",
                    "kernels/backprop/softmax_pass_cpu_types-inl.hpp", "kernels/common/parallel_for.cpp"});
    return sources;
  }
  sources.insert(sources.end(),
                 {stem + ".cu", stem + "_kernel.cuh", "kernels/llama/device.cuh",
                  "kernels/llama/elements.cuh", "kernels/llama/launch.cuh", "kernels/common/ptx.cuh"});
  if (piece == Piece::kRmsNorm)
    sources.push_back(stem + "_backward_kernel.cuh");
  return sources;
}

harness::Implementation implementation(Piece piece, std::string name, std::string about, DeviceKind device,
                                       const PointwiseKernels& kernels) {
  harness::Implementation out;
  out.name = std::move(name);
  out.role = harness::Role::kCandidate;
  out.device = device;
  out.about = std::move(about);
  out.prepare = [kernels](const harness::Case& which, const harness::TensorSet& inputs,
                          harness::TensorSet& outputs, harness::CallStyle style) {
    return prepare_kernels(which, inputs, outputs, style, kernels);
  };
  out.sources = sources_of(piece, device);
  return out;
}

const bool kRegistered = [] {
  for (const Piece piece : kPieces) {
    const std::string challenge = challenge_name(piece);
    const harness::RegisterImplementation gpu(challenge, [piece] {
      return implementation(piece, "cuda_fused", "One pass, f32 inside, results rounded once",
                            DeviceKind::kCuda, gpu_kernels());
    });
    const harness::RegisterImplementation one(challenge, [piece] {
      return implementation(piece, "cpu_simd", "The same on the CPU, one thread", DeviceKind::kCpu,
                            cpu_kernels(1));
    });
    const harness::RegisterImplementation all(challenge, [piece] {
      return implementation(piece, "cpu_simd_threads", "The same on every core of the affinity mask",
                            DeviceKind::kCpu, cpu_kernels(0));
    });
  }
  return true;
}();

}  // namespace
}  // namespace assay::suites::compile
