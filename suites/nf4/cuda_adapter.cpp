// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/cuda_adapter.hpp"

#include <fmt/format.h>

#include "harness/memory/memory.hpp"

namespace assay::suites::nf4 {

harness::Invocation prepare_cuda(const harness::Case& which, const harness::TensorSet& inputs,
                                 harness::TensorSet& outputs, harness::CallStyle style,
                                 const DequantizeCall& call) {
  const DequantizeCase& c = parameters_of(which);
  kernels::nf4::DequantizeArgs args;
  args.weights = packed_weights(c, inputs);
  args.out = outputs.at("weight").data;
  args.out_type = scalar_type(c.dtype);
  if (style == harness::CallStyle::kInto) {
    return [args, call](harness::Stream stream) { call(args, stream); };
  }
  return [args, call, bytes = outputs.at("weight").bytes()](harness::Stream stream) mutable {
    const harness::Scratch out(bytes, harness::DeviceKind::kCuda, stream);
    args.out = out.data();
    call(args, stream);
  };
}

harness::Implementation cuda_variant(std::string name, std::string about,
                                     kernels::nf4::DequantizeVariant variant, bool weights_are_constant) {
  harness::Implementation out;
  out.name = std::move(name);
  out.role = harness::Role::kCandidate;
  out.device = harness::DeviceKind::kCuda;
  out.about = std::move(about);
  out.prepare = [variant, weights_are_constant](const harness::Case& which, const harness::TensorSet& inputs,
                                                harness::TensorSet& outputs, harness::CallStyle style) {
    return prepare_cuda(which, inputs, outputs, style,
                        [=](kernels::nf4::DequantizeArgs args, harness::Stream stream) {
                          args.weights_are_constant = weights_are_constant;
                          kernels::nf4::dequantize(args, variant, stream);
                        });
  };
  out.sources = {"kernels/common/ptx.cuh",
                 "kernels/nf4/dequantize.cu",
                 "kernels/nf4/dequantize.hpp",
                 "kernels/nf4/dequantize_kernel.cuh",
                 "kernels/nf4/dequantize_decode.cuh",
                 "kernels/nf4/dequantize_config.cpp",
                 "kernels/nf4/format.hpp"};
  out.target = [variant] {
    const auto built = kernels::nf4::dequantize_built_code(variant);
    return std::pair(fmt::format("sm_{}", built.ptx_sm),
                     std::string(built.ptx_sm == built.binary_sm ? "sass" : "ptx_jit"));
  };
  return out;
}

}  // namespace assay::suites::nf4
