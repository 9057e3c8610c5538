// SPDX-License-Identifier: Apache-2.0
// Device code: a row of logits as 16-byte vectors with a few elements before and behind them, and raw logits
// to what the softmax is taken of.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/backprop/softmax_pass_device.cuh"

namespace assay::kernels::backprop::device {

inline constexpr float kLn2 = 0.693147180559945309f;
inline constexpr float kLog2E = 1.442695040888963407f;

/// By value in the parameter bank; what all passes know of their rows.
struct Rows {
  void* data;
  const void* bias;  // null: none
  std::int64_t stride;
  int vocab;
  float scale;            // of v to y: log2 e · (softcap or 1) / temperature
  float inverse_softcap;  // 0: none
  float slope;            // 1 / temperature
};

template <class T>
struct Elements {  // f16 and bf16
  static constexpr int kPerVector = 8;
  static constexpr std::uint32_t kMinusInfinities = std::is_same_v<T, __half> ? 0xfc00fc00u : 0xff80ff80u;
  __device__ static float widen(T x) {
    if constexpr (std::is_same_v<T, __half>)
      return __half2float(x);
    else
      return __bfloat162float(x);
  }
  __device__ static T narrow(float x) {
    if constexpr (std::is_same_v<T, __half>)
      return __float2half_rn(x);
    else
      return __float2bfloat16_rn(x);
  }
  __device__ static void unpack(const uint4& raw, float (&x)[8]) {
    const std::uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if constexpr (std::is_same_v<T, __half>) {
        __half2 pair;
        memcpy(&pair, &words[i], 4);
        const float2 both = __half22float2(pair);
        x[2 * i] = both.x;
        x[2 * i + 1] = both.y;
      } else {  // bf16 is the upper half of an f32
        x[2 * i] = __uint_as_float(words[i] << 16);
        x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
      }
    }
  }
  __device__ static uint4 pack(const float (&x)[8]) {
    std::uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if constexpr (std::is_same_v<T, __half>) {
        const __half2 pair = __floats2half2_rn(x[2 * i], x[2 * i + 1]);
        memcpy(&words[i], &pair, 4);
      } else {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(x[2 * i], x[2 * i + 1]);
        memcpy(&words[i], &pair, 4);
      }
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
  }
};

template <>
struct Elements<float> {
  static constexpr int kPerVector = 4;
  static constexpr std::uint32_t kMinusInfinities = 0xff800000u;
  __device__ static float widen(float x) { return x; }
  __device__ static float narrow(float x) { return x; }
  __device__ static void unpack(const uint4& raw, float (&x)[4]) {
    x[0] = __uint_as_float(raw.x);
    x[1] = __uint_as_float(raw.y);
    x[2] = __uint_as_float(raw.z);
    x[3] = __uint_as_float(raw.w);
  }
  __device__ static uint4 pack(const float (&x)[4]) {
    return make_uint4(__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]),
                      __float_as_uint(x[3]));
  }
};

/// Where the vectors of a row lie. Fewer than 2·kPerVector elements lie outside them: "edges", one a thread.
template <class T>
struct RowView {
  static constexpr int kPerVector = Elements<T>::kPerVector;
  T* data;
  int vocab, head, vectors;

  __device__ RowView(const Rows& rows, std::int64_t row)
      : data(static_cast<T*>(rows.data) + row * rows.stride), vocab(rows.vocab) {
    const auto past = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(data) & 15u);
    head = min(vocab, static_cast<int>(((16u - past) & 15u) / sizeof(T)));
    vectors = (vocab - head) / kPerVector;
  }
  __device__ int first_of(int vector) const { return head + vector * kPerVector; }
  __device__ T* at(int vector) const { return data + first_of(vector); }
  __device__ int num_edges() const { return vocab - vectors * kPerVector; }
  __device__ int edge(int i) const { return i < head ? i : i + vectors * kPerVector; }
};

/// tanh and its derivative: 2^(−2|u| log2 e) makes both accurate where tanh is near ±1, the polynomial
/// (Cephes tanhf, |u| < 0.625) makes tanh accurate near 0.
__device__ __forceinline__ float2 tanh_and_slope(float u) {
  const float e = exp2_approx(-2.0f * kLog2E * fabsf(u));
  const float inverse = reciprocal_approx(1.0f + e);
  const float square = u * u;
  float p = fmaf(-5.70498872745e-3f, square, 2.06390887954e-2f);
  p = fmaf(p, square, -5.37397155531e-2f);
  p = fmaf(p, square, 1.33314422036e-1f);
  p = fmaf(p, square, -3.33332819422e-1f);
  const float near = fmaf(p * square, u, u);
  const float far = copysignf((1.0f - e) * inverse, u);
  return {fabsf(u) < 0.625f ? near : far, 4.0f * e * inverse * inverse};
}

/// Logits [first, first + kCount) in place: x to v; `slope` to dv/dx up to constants (not written when
/// plain).
template <class T, bool kGeneral, int kCount>
__device__ __forceinline__ void transform(const Rows& rows, int first, float (&x)[kCount],
                                          float (&slope)[kCount]) {
  if constexpr (kGeneral) {
    if (rows.bias != nullptr) {
      const T* const bias = static_cast<const T*>(rows.bias) + first;
#pragma unroll
      for (int i = 0; i < kCount; ++i) x[i] += Elements<T>::widen(bias[i]);
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      slope[i] = 1.0f;
      if (rows.inverse_softcap != 0.0f) {
        const float2 t = tanh_and_slope(x[i] * rows.inverse_softcap);
        x[i] = t.x;
        slope[i] = t.y;
      }
    }
  }
}

}  // namespace assay::kernels::backprop::device
