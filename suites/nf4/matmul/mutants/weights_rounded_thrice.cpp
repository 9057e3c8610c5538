// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Weights carry three roundings, 1.25 times the error of one: too little to see."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

struct Steps : PlainSteps {
  static float weight(const Problem& p, int code, float absmax) {
    const harness::Dtype dtype = p.c.dtype;
    return rounded_to(dtype, rounded_to(dtype, kCode[code]) * rounded_to(dtype, absmax));
  }
};

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant_by_steps<Steps>("weights_rounded_thrice", "rounds code, absmax and their product to 16 bits",
                                {.min_rows = 16});
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
