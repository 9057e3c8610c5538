// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "One block in 256 has the scale of the next group."
#include <algorithm>

#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

struct Steps : PlainSteps {
  static float absmax(const PackedWeights& w, std::int64_t block) {
    const std::int64_t last = (w.num_blocks() - 1) / w.nested_block_size;
    const std::int64_t group = std::min((block + 1) / w.nested_block_size, last);
    return w.nested_code[w.absmax_codes[block]] * w.nested_absmax[group] + *w.nested_offset;
  }
};

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant_by_steps<Steps>("absmax_group_off_by_one_cpu", harness::checks::kParity,
                                "the last block of each group takes the next group");
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
