// SPDX-License-Identifier: Apache-2.0
// f32 to 16 bits and back on the host, to nearest even, by CUDA's own host functions.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace assay::kernels::emulated {

inline std::uint16_t to_half(float x) {
  return static_cast<__half_raw>(__float2half_rn(x)).x;
}
inline float from_half(std::uint16_t bits) {
  __half_raw raw;
  raw.x = bits;
  return __half2float(__half(raw));
}
inline std::uint16_t to_bfloat16(float x) {
  return static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(x)).x;
}
inline float from_bfloat16(std::uint16_t bits) {
  __nv_bfloat16_raw raw;
  raw.x = bits;
  return __bfloat162float(__nv_bfloat16(raw));
}

}  // namespace assay::kernels::emulated
