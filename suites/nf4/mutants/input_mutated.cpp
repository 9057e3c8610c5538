// SPDX-License-Identifier: Apache-2.0
// Caught by `input_mutated`: "The second call on the same layer gives other weights."
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("input_mutated_cpu", harness::DeviceKind::kCpu, harness::checks::kInputMutated,
                "uses the absmax codes as scratch", []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
                    dequantize_plain<PlainSteps>(w, out, 0, w.num_weights);
                    const_cast<std::uint8_t*>(w.absmax_codes)[0] ^= 1;
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
