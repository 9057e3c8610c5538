// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Weights are off by up to one part in 2000, as if the table had been typed in half
// precision."
#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

struct Steps : PlainSteps {
  static float code(int nibble) {
    const auto half = harness::encode<harness::Float16Format>(kCode[nibble]);
    return static_cast<float>(harness::decode<harness::Float16Format>(half));
  }
};

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant_by_steps<Steps>("truncated_table_cpu", harness::checks::kParity,
                                "its table is rounded to f16");
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
