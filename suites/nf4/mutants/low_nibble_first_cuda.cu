// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Every pair of neighbouring weights is exchanged."
#include "suites/nf4/mutants/plain_cuda.cuh"

namespace assay::suites::nf4::mutants {
namespace {

struct Steps : PlainDeviceSteps {
  static __device__ int nibble(const PackedWeights& w, std::int64_t i) {
    return i % 2 == 0 ? w.packed[i / 2] & 15 : w.packed[i / 2] >> 4;
  }
};

const harness::RegisterImplementation kThis(kDequantize, [] {
  return cuda_mutant_by_steps<Steps>("low_nibble_first_cuda", harness::checks::kParity,
                                     "takes the low nibble for even weights");
});

}  // namespace
}  // namespace assay::suites::nf4::mutants
