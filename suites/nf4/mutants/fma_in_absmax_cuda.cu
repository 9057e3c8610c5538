// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "A few weights differ in the last bit from bitsandbytes, on some layers."
#include "suites/nf4/mutants/plain_cuda.cuh"

namespace assay::suites::nf4::mutants {
namespace {

struct Steps : PlainDeviceSteps {
  static __device__ float absmax(const PackedWeights& w, std::int64_t block) {
    return __fmaf_rn(w.nested_code[w.absmax_codes[block]], w.nested_absmax[block / w.nested_block_size],
                     *w.nested_offset);
  }
};

const harness::RegisterImplementation kThis(kDequantize, [] {
  return cuda_mutant_by_steps<Steps>("fma_in_absmax_cuda", harness::checks::kParity,
                                     "what nvcc makes of a * b + c unless told otherwise",
                                     Needs{.last_bits = true});
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
