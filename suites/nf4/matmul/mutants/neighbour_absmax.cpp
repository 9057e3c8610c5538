// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Weights are scaled by the block behind theirs."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

struct Steps : PlainSteps {
  static float absmax(const PackedWeights& w, std::int64_t block) {
    return PlainSteps::absmax(w, (block + 1) % w.num_blocks());
  }
};

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant_by_steps<Steps>("neighbour_absmax", "multiplies a block by the absmax of the next one");
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
