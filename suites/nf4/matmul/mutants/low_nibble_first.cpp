// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Every pair of neighbouring weights is exchanged."
#include "suites/nf4/matmul/mutants/mutant.hpp"

namespace assay::suites::nf4::matmul::mutants {
namespace {

struct Steps : PlainSteps {
  static int nibble(const PackedWeights& w, std::int64_t i) {
    return i % 2 == 0 ? w.packed[i / 2] & 15 : w.packed[i / 2] >> 4;
  }
};

const harness::RegisterImplementation kThis(kMatmul, [] {
  return mutant_by_steps<Steps>("low_nibble_first", "takes the low nibble for even weights");
});

}  // namespace
}  // namespace assay::suites::nf4::matmul::mutants
