// SPDX-License-Identifier: Apache-2.0
// Device code of the skinny product for every shape, block size, type and GPU: one warp a row of W, weights
// one at a time, f32 throughout. What the matrix kernel cannot take comes here; written for few lines, not
// for speed.
#pragma once

#include "kernels/nf4/matmul/machine.cuh"
#include "kernels/nf4/matmul/skinny_params.hpp"

namespace assay::kernels::nf4::device {

inline constexpr unsigned kPlainWarps = 8, kPlainRows = 16;

ASSAY_INLINE float absmax_of_block(const SkinnyParams& p, std::uint64_t block) {
  if (p.absmax_codes == nullptr)
    return p.absmax[block];
  return multiply_then_add(p.nested_code[p.absmax_codes[block]], p.nested_absmax[block >> p.nested_shift],
                           *p.nested_offset);
}

template <class T>
ASSAY_INLINE void plain_rows(const SkinnyParams& p) {
  wait_for_previous_grid();
  const unsigned lane = thread_index() % 32, row = block_index() * kPlainWarps + thread_index() / 32;
  auto* const code = reinterpret_cast<float*>(shared_memory());
  if (thread_index() < 16)
    code[thread_index()] = p.code[thread_index()];
  wait_for_block();
  if (row >= p.n)
    return;
  const T* const x = static_cast<const T*>(p.x);
  float sum[kPlainRows] = {};
  for (unsigned k = lane; k < p.k; k += 32) {
    const std::uint64_t i = static_cast<std::uint64_t>(row) * p.k + k;
    const unsigned byte = p.packed[i / 2], nibble = i % 2 == 0 ? byte >> 4 : byte & 15u;
    const float weight = code[nibble] * absmax_of_block(p, i >> p.block_shift);
#pragma unroll
    for (unsigned m = 0; m < kPlainRows; ++m)
      if (m < p.m)
        sum[m] = fused(widen(x[m * p.ldx + k]), weight, sum[m]);
  }
#pragma unroll
  for (unsigned m = 0; m < kPlainRows; ++m) {
    if (m >= p.m)
      continue;
    float total = sum[m];
#pragma unroll
    for (unsigned distance = 16; distance > 0; distance /= 2) total += shuffle(total, lane ^ distance);
    if (p.bias != nullptr)
      total += widen(static_cast<const T*>(p.bias)[row]);
    if (lane == 0)
      static_cast<T*>(p.y)[m * p.ldy + row] = narrow<T>(total);
  }
}

}  // namespace assay::kernels::nf4::device
