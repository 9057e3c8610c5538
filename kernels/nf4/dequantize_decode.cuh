// SPDX-License-Identifier: Apache-2.0
// Device code: one word of packed weights to one 16-byte vector of f16, bf16 or f32, in plain C++ and in PTX.
//
// The 16-entry f32 table lies in shared memory: 16 words in 16 banks, so lookups of a warp never conflict.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/common/ptx.cuh"
#include "kernels/nf4/dequantize.hpp"

namespace assay::kernels::nf4 {

/// What the device needs, by value in the parameter bank.
struct DeviceDequantize {
  const std::uint8_t* packed;
  const std::uint8_t* absmax_codes;
  const float* absmax;
  const float* nested_absmax;
  const float* nested_code;
  const float* nested_offset;
  void* out;
  std::int64_t num_weights;
  int block_shift;         // log2(block_size)
  int nested_block_shift;  // log2(nested_block_size)
  float code[16];
};

template <class Out>
struct Output;
template <>
struct Output<__half> {
  using Word = std::uint32_t;  // packed weights of one vector
  static constexpr int kWeights = 8;
  __device__ static __half round(float x) { return __float2half_rn(x); }
  __device__ static std::uint32_t pack(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
  __device__ static std::uint32_t pack_ptx(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    std::uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    std::uint32_t pair;
    asm("{ .reg .b16 l, h; cvt.rn.f16.f32 l, %1; cvt.rn.f16.f32 h, %2; mov.b32 %0, {l, h}; }"
        : "=r"(pair)
        : "f"(low), "f"(high));
    return pair;
#endif
  }
};
template <>
struct Output<__nv_bfloat16> {
  using Word = std::uint32_t;
  static constexpr int kWeights = 8;
  __device__ static __nv_bfloat16 round(float x) { return __float2bfloat16_rn(x); }
  __device__ static std::uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
  __device__ static std::uint32_t pack_ptx(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    std::uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return pack(low, high);  // sm_75 has no bf16 conversion: cuda_bf16.h's integer rounding
#endif
  }
};
template <>
struct Output<float> {
  using Word = std::uint16_t;
  static constexpr int kWeights = 4;
  __device__ static float round(float x) { return x; }
};

/// log2 of the weights in one vector.
template <class Out>
inline constexpr int kVectorShift = Output<Out>::kWeights == 8 ? 3 : 2;

/// Nibble of weight `i` of a vector, times 4 (a byte offset into the table): even weights sit in the high
/// nibble.
template <int i>
__device__ __forceinline__ std::uint32_t table_offset(std::uint32_t word) {
  constexpr int shift = (i / 2) * 8 + (i % 2 == 0 ? 4 : 0) - 2;
  if constexpr (shift >= 0) {
    return (word >> shift) & 0x3cu;
  } else {
    return (word << -shift) & 0x3cu;
  }
}

template <DequantizeVariant kVariant>
__device__ __forceinline__ float table_entry(const float* table, std::uint32_t offset) {
  if constexpr (kVariant == DequantizeVariant::kPlain) {
    return table[offset / 4];
  } else {
    float v;
    asm("ld.shared.f32 %0, [%1];"
        : "=f"(v)
        : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(table)) + offset));
    return v;
  }
}

template <DequantizeVariant kVariant, class Out, int i>
__device__ __forceinline__ float value(const float* table, std::uint32_t word, float scale) {
  const float code = table_entry<kVariant>(table, table_offset<i>(word));
  return kVariant == DequantizeVariant::kPlain ? __fmul_rn(code, scale) : ptx::multiply_rn(code, scale);
}

template <DequantizeVariant kVariant, class Out>
__device__ __forceinline__ uint4 decode(const float* table, std::uint32_t word, float scale) {
  uint4 v;
  if constexpr (sizeof(Out) == 4) {
    v.x = __float_as_uint(value<kVariant, Out, 0>(table, word, scale));
    v.y = __float_as_uint(value<kVariant, Out, 1>(table, word, scale));
    v.z = __float_as_uint(value<kVariant, Out, 2>(table, word, scale));
    v.w = __float_as_uint(value<kVariant, Out, 3>(table, word, scale));
  } else {
    const auto pair = [&](float low, float high) {
      return kVariant == DequantizeVariant::kPlain ? Output<Out>::pack(low, high)
                                                   : Output<Out>::pack_ptx(low, high);
    };
    v.x = pair(value<kVariant, Out, 0>(table, word, scale), value<kVariant, Out, 1>(table, word, scale));
    v.y = pair(value<kVariant, Out, 2>(table, word, scale), value<kVariant, Out, 3>(table, word, scale));
    v.z = pair(value<kVariant, Out, 4>(table, word, scale), value<kVariant, Out, 5>(table, word, scale));
    v.w = pair(value<kVariant, Out, 6>(table, word, scale), value<kVariant, Out, 7>(table, word, scale));
  }
  return v;
}

}  // namespace assay::kernels::nf4
