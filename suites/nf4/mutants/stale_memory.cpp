// SPDX-License-Identifier: Apache-2.0
// Caught by `unwritten`: "It is right whenever the buffer happens to hold the last answer."
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("stale_memory_cpu", harness::DeviceKind::kCpu, harness::checks::kUnwritten,
                "writes the first half and relies on what the rest holds", []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
                    dequantize_plain<PlainSteps>(w, out, 0, w.num_weights / 2);
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
