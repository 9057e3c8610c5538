// SPDX-License-Identifier: Apache-2.0
// CPU candidates: the best instruction set of this machine, on one thread and on all cores.
#include "harness/core/registry.hpp"
#include "kernels/nf4/dequantize_cpu.hpp"
#include "suites/nf4/cpu_adapter.hpp"

namespace assay::suites::nf4 {
namespace {

harness::Implementation simd(std::string name, std::string about, int threads) {
  harness::Implementation out;
  out.name = std::move(name);
  out.role = harness::Role::kCandidate;
  out.device = harness::DeviceKind::kCpu;
  out.about = std::move(about) + " (" + kernels::nf4::cpu_instruction_sets().front() + ")";
  out.prepare = [threads](const harness::Case& which, const harness::TensorSet& inputs,
                          harness::TensorSet& outputs, harness::CallStyle style) {
    const DequantizeCase& c = parameters_of(which);
    return prepare_cpu(outputs, style,
                       [weights = packed_weights(c, inputs), type = scalar_type(c.dtype), threads](void* to) {
                         kernels::nf4::dequantize_cpu(weights, to, type, threads);
                       });
  };
  out.sources = {"kernels/nf4/dequantize_cpu.cpp", "kernels/nf4/dequantize_cpu_decode-inl.hpp",
                 "kernels/nf4/format.cpp", "kernels/nf4/format.hpp", "kernels/common/parallel_for.cpp"};
  return out;
}

const harness::RegisterImplementation kOne(kDequantize, [] {
  return simd("cpu_simd", "Nested absmax inside, a finished table of 16 values a block, one thread", 1);
});
const harness::RegisterImplementation kAll(kDequantize, [] {
  return simd("cpu_simd_threads", "The same on every core of the affinity mask", 0);
});

}  // namespace
}  // namespace assay::suites::nf4
