// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "All weights are a little too small in magnitude."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

struct Steps : PlainSteps {
  static float absmax(const PackedWeights& w, std::int64_t block) {
    return w.nested_code[w.absmax_codes[block]] * w.nested_absmax[block / w.nested_block_size];
  }
};

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant_by_steps<Steps>("missing_offset", "forgets to add the nested offset");
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
