// SPDX-License-Identifier: Apache-2.0
// See host_weights.hpp.
#include "suites/nf4/host_weights.hpp"

namespace assay::suites::nf4 {

kernels::nf4::PackedWeights HostWeights::view() const {
  kernels::nf4::PackedWeights weights;
  weights.packed = packed.data();
  weights.num_weights = rows * cols;
  weights.block_size = block_size;
  weights.codebook = codebook;
  weights.nested_block_size = nested_block_size;
  if (nested()) {
    weights.absmax_codes = absmax_codes.data();
    weights.nested_absmax = nested_absmax.data();
    weights.nested_code = nested_code.data();
    weights.nested_offset = &nested_offset;
  } else {
    weights.absmax = absmax.data();
  }
  return weights;
}

}  // namespace assay::suites::nf4
