// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The second tile of eight rows of x has neighbours exchanged."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

struct Steps : PlainSteps {
  static std::int64_t x_row(const Problem& p, std::int64_t i) {
    return i < 8 ? i : std::min(i ^ 1, p.c.m - 1);
  }
};

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant_by_steps<Steps>("rows_swapped_past_eight",
                                "exchanges neighbouring rows of x from the ninth on", {.min_rows = 10});
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
