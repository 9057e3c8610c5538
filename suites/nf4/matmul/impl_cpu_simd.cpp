// SPDX-License-Identifier: Apache-2.0
// CPU candidates: the best instruction set of this machine, on one thread and on all cores.
#include "harness/core/registry.hpp"
#include "kernels/nf4/matmul/skinny_cpu.hpp"
#include "suites/nf4/matmul/adapter.hpp"

namespace assay::suites::nf4::matmul {
namespace {

harness::Implementation simd(std::string name, std::string about, int threads) {
  harness::Implementation out;
  out.name = std::move(name);
  out.role = harness::Role::kCandidate;
  out.device = harness::DeviceKind::kCpu;
  out.about = std::move(about) + " (" + kernels::nf4::skinny_cpu_instruction_sets().front() + ")";
  out.unsupported = more_than_16_rows;
  out.prepare = [threads](const harness::Case& which, const harness::TensorSet& inputs,
                          harness::TensorSet& outputs, harness::CallStyle style) {
    const MatmulCase& c = parameters_of(which);
    kernels::nf4::SkinnyArgs args;
    args.weights = packed_weights(c, inputs);
    args.n = c.n, args.k = c.k, args.m = static_cast<int>(c.m);
    args.x = inputs.at("x").data;
    args.type = scalar_type(c.dtype);
    return prepare_product(outputs, style, [args, threads](void* y, void*, harness::Stream) {
      kernels::nf4::SkinnyArgs call = args;
      call.y = y;
      kernels::nf4::skinny_linear_cpu(call, threads);
    });
  };
  out.sources = {"kernels/nf4/matmul/skinny_cpu.cpp",
                 "kernels/nf4/matmul/skinny_cpu_product.hpp",
                 "kernels/nf4/dequantize_cpu_decode-inl.hpp",
                 "kernels/nf4/format.cpp",
                 "kernels/nf4/format.hpp",
                 "kernels/common/parallel_for.cpp"};
  return out;
}

const harness::RegisterImplementation kOne(kMatmul, [] {
  return simd("cpu_simd", "Four rows of W decoded to f32 in the first cache, then multiplied, one thread", 1);
});
const harness::RegisterImplementation kAll(kMatmul, [] {
  return simd("cpu_simd_threads", "The same on every core of the affinity mask", 0);
});

}  // namespace
}  // namespace assay::suites::nf4::matmul
