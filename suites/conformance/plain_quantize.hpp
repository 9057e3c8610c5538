// SPDX-License-Identifier: Apache-2.0
// Quantization to NF4 by scalar loops, with room for one fault: what the mutants of quantization are made of.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/nf4/quantize.hpp"

namespace assay::suites::conformance {

struct QuantizeFault {
  std::int64_t weights_seen = std::numeric_limits<std::int64_t>::max();  ///< of a block, by its absmax
  bool reads_past_end = false;  ///< the last block's absmax is of a whole block
  bool eight_bits = false;      ///< a linear 8-bit code a weight, as far as the bytes reach
};

/// f32 weights; without a fault the nearest code of each. `args` as kernels/nf4/quantize.hpp has them.
void plain_quantize(const kernels::nf4::QuantizeArgs& args, const QuantizeFault& fault);

}  // namespace assay::suites::conformance
