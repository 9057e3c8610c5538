// SPDX-License-Identifier: Apache-2.0
// The JSON text bitsandbytes keeps beside a 4-bit weight, for example
//   {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [128, 896], "nested_blocksize": 256,
//    "nested_dtype": "float32", "nested_offset": 0.031807661056518555}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/nf4/format.hpp"

namespace assay::suites::nf4 {

struct QuantState {
  std::string quant_type;  ///< "nf4" or "fp4"
  std::int64_t rows = 0, cols = 0;
  kernels::nf4::ScalarType dtype = kernels::nf4::ScalarType::kBfloat16;
  std::int32_t block_size = 0;
  std::int32_t nested_block_size = 256;
  float nested_offset = 0.0F;
};

/// `nested`: whether the weight has nested statistics, which the text must then describe, and must not
/// otherwise. Trailing NULs are padding. Throws UsageError: "expected …, found …".
QuantState parse_quant_state(std::string_view text, bool nested);

}  // namespace assay::suites::nf4
