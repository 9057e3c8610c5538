// SPDX-License-Identifier: Apache-2.0
// Caught by `canary`: "Some tensor allocated after the weights changes now and then."
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("write_past_end_cpu", harness::DeviceKind::kCpu, harness::checks::kCanary,
                "rounds its stores up to a whole vector of 8, and one more", []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
                    dequantize_plain<PlainSteps>(w, out, 0, w.num_weights);
                    for (std::int64_t i = w.num_weights; i < (w.num_weights + 15) / 8 * 8; ++i) {
                      store(out, i, 0.0f);
                    }
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
