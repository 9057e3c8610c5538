// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "A few weights differ in the last bit from bitsandbytes, on some layers."
#include <cmath>

#include "suites/nf4/mutants/plain_cpu.hpp"

namespace assay::suites::nf4::mutants {
namespace {

struct Steps : PlainSteps {
  static float absmax(const PackedWeights& w, std::int64_t block) {
    return std::fmaf(w.nested_code[w.absmax_codes[block]], w.nested_absmax[block / w.nested_block_size],
                     *w.nested_offset);
  }
};

const harness::RegisterImplementation kThis(kDequantize, [] {
  return mutant_by_steps<Steps>("fma_in_absmax_cpu", harness::checks::kParity,
                                "rounds once where the format rounds twice", Needs{.last_bits = true});
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
