// SPDX-License-Identifier: Apache-2.0
// Device code: 16 bytes of elements as f32 and back, whole or in part, and sums over the threads of a row.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstring>
#include <type_traits>

#include "kernels/llama/device.cuh"

namespace assay::kernels::llama::device {

template <class T>
inline constexpr int kPerVector = 16 / sizeof(T);

template <class T>
__device__ __forceinline__ float widen(T x) {
  if constexpr (std::is_same_v<T, __half>)
    return __half2float(x);
  else if constexpr (std::is_same_v<T, __nv_bfloat16>)
    return __bfloat162float(x);
  else
    return x;
}
template <class T>
__device__ __forceinline__ T narrow(float x) {
  if constexpr (std::is_same_v<T, __half>)
    return __float2half_rn(x);
  else if constexpr (std::is_same_v<T, __nv_bfloat16>)
    return __float2bfloat16_rn(x);
  else
    return x;
}

template <class T>
__device__ __forceinline__ void unpack(const uint4& raw, float (&x)[kPerVector<T>]) {
  const std::uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (std::is_same_v<T, __half>) {
      __half2 pair;
      memcpy(&pair, &words[i], 4);
      const float2 both = __half22float2(pair);
      x[2 * i] = both.x;
      x[2 * i + 1] = both.y;
    } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {  // the upper half of an f32
      x[2 * i] = as_float(words[i] << 16);
      x[2 * i + 1] = as_float(words[i] & 0xffff0000u);
    } else {
      x[i] = as_float(words[i]);
    }
  }
}
template <class T>
__device__ __forceinline__ uint4 pack(const float (&x)[kPerVector<T>]) {
  std::uint32_t words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (std::is_same_v<T, __half>) {
      const __half2 pair = __floats2half2_rn(x[2 * i], x[2 * i + 1]);
      memcpy(&words[i], &pair, 4);
    } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
      const __nv_bfloat162 pair = __floats2bfloat162_rn(x[2 * i], x[2 * i + 1]);
      memcpy(&words[i], &pair, 4);
    } else {
      words[i] = as_bits(x[i]);
    }
  }
  return make_uint4(words[0], words[1], words[2], words[3]);
}

/// Up to a vector of elements at `p`, zeros behind them; whole vectors at once where the rows are aligned.
template <class T>
__device__ __forceinline__ void load_some(const T* p, std::int64_t count, bool aligned, std::uint64_t policy,
                                          float (&x)[kPerVector<T>]) {
  if (aligned && count >= kPerVector<T>) {
    unpack<T>(load_once(p, policy), x);
    return;
  }
#pragma unroll
  for (int i = 0; i < kPerVector<T>; ++i) x[i] = i < count ? widen(p[i]) : 0.0f;
}
template <class T>
__device__ __forceinline__ void store_some(T* p, std::int64_t count, bool aligned,
                                           const float (&x)[kPerVector<T>]) {
  if (aligned && count >= kPerVector<T>) {
    store_vector(p, pack<T>(x));
    return;
  }
#pragma unroll
  for (int i = 0; i < kPerVector<T>; ++i) {
    if (i < count)
      p[i] = narrow<T>(x[i]);
  }
}

inline constexpr int kMaxWarps = 32;

/// Sum of x over the warp (kWarp) or the block, in a fixed order, in every thread. The block's way meets at
/// one barrier and leaves its parts in `parts` [kMaxWarps], which the call after the next may use again.
template <bool kWarp>
__device__ __forceinline__ float sum_over_row(float x, [[maybe_unused]] float* parts) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x += shuffle_xor(x, distance);
  if constexpr (!kWarp) {
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    if (lane == 0)
      parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = lane < warps ? parts[lane] : 0.0f;
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) x += shuffle_xor(x, distance);
  }
  return x;
}

}  // namespace assay::kernels::llama::device
