// SPDX-License-Identifier: Apache-2.0
// CUDA candidates for 1 to 16 rows of x: one kernel, no 16-bit weights in memory.
#include <fmt/format.h>

#include "harness/core/registry.hpp"
#include "kernels/nf4/dequantize.hpp"
#include "kernels/nf4/matmul/skinny.hpp"
#include "suites/nf4/matmul/adapter.hpp"

namespace assay::suites::nf4::matmul {
namespace {

harness::Invocation prepare(const MatmulCase& c, const harness::TensorSet& inputs,
                            harness::TensorSet& outputs, harness::CallStyle style,
                            bool weights_are_constant) {
  kernels::nf4::SkinnyArgs args;
  args.weights = packed_weights(c, inputs);
  args.n = c.n, args.k = c.k, args.m = static_cast<int>(c.m);
  args.x = inputs.at("x").data;
  args.type = scalar_type(c.dtype);
  args.weights_are_constant = weights_are_constant;
  return prepare_product(outputs, style, [args](void* y, void*, harness::Stream stream) {
    kernels::nf4::SkinnyArgs call = args;
    call.y = y;
    kernels::nf4::skinny_linear(call, stream);
  });
}

harness::Implementation skinny(std::string name, std::string about, bool weights_are_constant) {
  harness::Implementation out;
  out.name = std::move(name);
  out.role = harness::Role::kCandidate;
  out.device = harness::DeviceKind::kCuda;
  out.about = std::move(about);
  out.unsupported = more_than_16_rows;
  out.prepare = [weights_are_constant](const harness::Case& which, const harness::TensorSet& inputs,
                                       harness::TensorSet& outputs, harness::CallStyle style) {
    return prepare(parameters_of(which), inputs, outputs, style, weights_are_constant);
  };
  for (const char* file : {"skinny.cu", "skinny_kernel.cuh", "plain_kernel.cuh", "machine.cuh",
                           "skinny_check.cpp", "skinny_config.cpp", "skinny_params.hpp"})
    out.sources.push_back(std::string("kernels/nf4/matmul/") + file);
  out.sources.insert(out.sources.end(), {"kernels/nf4/format.cpp", "kernels/nf4/format.hpp"});
  out.target = [] {  // every kernel of a build is built for the same targets
    const auto built = kernels::nf4::dequantize_built_code(kernels::nf4::DequantizeVariant::kFused);
    return std::pair(fmt::format("sm_{}", built.ptx_sm),
                     std::string(built.ptx_sm == built.binary_sm ? "sass" : "ptx_jit"));
  };
  return out;
}

const harness::RegisterImplementation kThis(kMatmul, [] {
  return skinny("skinny", "One kernel on matrix instructions, 4-bit weights decoded in registers", false);
});
const harness::RegisterImplementation kConstant(kMatmul, [] {
  return skinny("skinny_constant", "The same with constant weights: read while the previous kernel ends",
                true);
});

}  // namespace
}  // namespace assay::suites::nf4::matmul
