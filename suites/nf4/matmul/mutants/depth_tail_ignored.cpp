// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Sums stop at the last whole step of 256 weights."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

struct Steps : PlainSteps {
  static std::int64_t depth(const Problem& p) { return p.c.k / 256 * 256; }
};

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant_by_steps<Steps>("depth_tail_ignored", "ignores what follows the last whole step of K",
                                {.ragged_depth = true});
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
