// SPDX-License-Identifier: Apache-2.0
// Caught by `unwritten`: "The last few weights of some layers are garbage, depending on the shape."
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

/// Rounds the length down to whole groups, and loses a whole one where it divides.
std::int64_t whole_groups(std::int64_t count) {
  constexpr std::int64_t kGroup = 64;
  return (count - 1) / kGroup * kGroup;
}

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("tail_skipped_cpu", harness::DeviceKind::kCpu, harness::checks::kUnwritten,
                "leaves out what does not fill a group of 64", []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
                    dequantize_plain<PlainSteps>(w, out, 0, whole_groups(w.num_weights));
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
