// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Every addition is rounded to the type of x."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

struct Steps : PlainSteps {
  static float add(const Problem& p, float sum, float product) {
    return rounded_to(p.c.dtype, sum + product);
  }
};

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant_by_steps<Steps>("sums_in_16_bits", "accumulates in 16 bits");
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
