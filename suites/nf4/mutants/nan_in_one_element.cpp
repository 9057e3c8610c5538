// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "One weight of eight million is NaN, and so is my loss."
#include <limits>

#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant("nan_in_one_element_cpu", harness::DeviceKind::kCpu, harness::checks::kParity, "one NaN",
                []() -> Body {
                  return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream) {
                    dequantize_plain<PlainSteps>(w, out, 0, w.num_weights);
                    store(out, w.num_weights / 2, std::numeric_limits<float>::quiet_NaN());
                  };
                });
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
