// SPDX-License-Identifier: Apache-2.0
// The puzzle's literal wording: one Triton kernel, compiled ahead of time, launched from C++.
#include "harness/core/registry.hpp"
#include "kernels/nf4/dequantize_triton.hpp"
#include "suites/nf4/cuda_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  harness::Implementation out;
  out.name = "triton_fused";
  out.about = "The same work by one Triton kernel, compiled ahead of time to machine code";
  out.unsupported = [](const harness::Case&, const harness::DeviceFacts&) -> std::optional<std::string> {
    if (kernels::nf4::dequantize_triton_images().empty())
      return "built without Triton (ASSAY_TRITON=OFF)";
    return std::nullopt;
  };
  out.prepare = [](const harness::Case& which, const harness::TensorSet& inputs, harness::TensorSet& outputs,
                   harness::CallStyle style) {
    return prepare_cuda(which, inputs, outputs, style, kernels::nf4::dequantize_triton);
  };
  out.sources = {"kernels/nf4/triton", "kernels/nf4/dequantize_triton.cpp",
                 "kernels/common/triton_image.cpp"};
  out.target = [] {
    const auto& image = kernels::nf4::dequantize_triton_target();
    return std::pair(std::string("sm_") + std::to_string(image.arch),
                     std::string(image.format == kernels::TritonImage::Format::kPtx ? "ptx_jit" : "sass"));
  };
  return out;
});

}  // namespace
}  // namespace assay::suites::nf4
