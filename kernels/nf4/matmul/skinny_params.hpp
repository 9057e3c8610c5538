// SPDX-License-Identifier: Apache-2.0
// What the device code of the skinny product needs, by value in the parameter bank.
#pragma once

#include <cstdint>

namespace assay::kernels::nf4::device {

struct SkinnyParams {
  const std::uint8_t* packed;
  const std::uint8_t* absmax_codes;  // null: single level
  const float* absmax;
  const float* nested_absmax;
  const float* nested_code;
  const float* nested_offset;
  const void* x;
  const void* bias;  // or null
  void* y;
  std::int64_t ldx, ldy;
  unsigned n, k, m;
  unsigned block_shift, nested_shift;  // log2 of weights a block, of blocks a second-level block
  unsigned weights_are_constant;
  float code[16];
  std::uint16_t scaled_code[16];  // code · table_scale in x's type
  float inverse_table_scale;
};

}  // namespace assay::kernels::nf4::device
