// SPDX-License-Identifier: Apache-2.0
// Device code: a row of logits as 16-byte vectors with a few elements before and behind them, raw logits to
// what the softmax is taken of, and softmax statistics in one sweep.
//
// Units: y = v · scale is a logit in powers of two, z · log2 e; v is the logit itself, or tanh of it under a
// softcap. Every statistic is kept relative to `shift`, the largest y so far, so 2^(y − shift) <= 1, and
// rounding of shift does not matter as long as all use the same.
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

/// Softmax statistics of some elements; `first` and `second` are sums that a pass defines.
struct alignas(16) Partial {
  float shift, sum, first, second;
};

/// What `first` is: Σ w·v with Σ w in `second` (smoothing), or Σ 2^t · t with t = y − shift (entropy).
enum class Sums { kNone, kSmoothing, kEntropy };

/// Finite, so that no difference of shifts is NaN; below every logit that has a probability.
inline constexpr float kLowestShift = -0x1p127f;
/// 2^x is 0 from here on down: replaces −∞ where 0 · ∞ would be NaN.
inline constexpr float kLowestLog2 = -256.0f;

__device__ __forceinline__ Partial nothing() {
  return {kLowestShift, 0.0f, 0.0f, 0.0f};
}

template <Sums kSums>
__device__ __forceinline__ void raise_shift(Partial& p, float shift) {
  const float change = fmaxf(p.shift - shift, kLowestLog2);
  const float factor = exp2_approx(change);
  if constexpr (kSums == Sums::kEntropy)
    p.first = factor * fmaf(change, p.sum, p.first);
  p.sum *= factor;
  p.shift = shift;
}

template <int kCount>
__device__ __forceinline__ float sum_of(const float (&x)[kCount]) {
  if constexpr (kCount == 1)
    return x[0];
  else if constexpr (kCount == 4)
    return (x[0] + x[1]) + (x[2] + x[3]);
  else
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

template <int kCount>
__device__ __forceinline__ float largest_of(const float (&x)[kCount]) {
  float largest = x[0];
#pragma unroll
  for (int i = 1; i < kCount; ++i) largest = fmaxf(largest, x[i]);
  return largest;
}

/// Adds elements none of whose y is above p.shift. NaN, and +∞, make p.sum NaN.
template <Sums kSums, int kCount>
__device__ __forceinline__ void add_below(Partial& p, const float (&v)[kCount], float scale) {
  float e[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) e[i] = exp2_approx(fmaf(v[i], scale, -p.shift));
  p.sum += sum_of(e);
  if constexpr (kSums == Sums::kEntropy) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) e[i] *= fmaxf(fmaf(v[i], scale, -p.shift), kLowestLog2);
    p.first += sum_of(e);
  }
}

/// What smoothing sums over the row.
struct Smoothing {
  bool wanted = false;
  const float* weight = nullptr;  // null: 1
};

/// Σ w·v and Σ w over elements [first, first + kCount), where wanted.
template <int kCount>
__device__ __forceinline__ void add_weighted(Partial& p, const Smoothing& s, int first,
                                             const float (&v)[kCount]) {
  if (!s.wanted)
    return;
  float w[kCount], product[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    w[i] = s.weight == nullptr ? 1.0f : __ldg(s.weight + first + i);
    product[i] = w[i] * v[i];
  }
  p.first += sum_of(product);
  p.second += sum_of(w);
}

template <Sums kSums, int kCount>
__device__ __forceinline__ void add(Partial& p, const float (&v)[kCount], float scale) {
  raise_shift<kSums>(p, fmaxf(p.shift, largest_of(v) * scale));
  add_below<kSums>(p, v, scale);
}

/// The fixed tree of a warp, the same bits in every lane. The largest shift comes first, so that each lane's
/// sums are rescaled, and rounded by that, once.
template <Sums kSums>
__device__ __forceinline__ Partial reduce_warp(Partial p) {
  float shift = p.shift;
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    shift = fmaxf(shift, __shfl_xor_sync(~0u, shift, distance));
  raise_shift<kSums>(p, shift);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    p.sum += __shfl_xor_sync(~0u, p.sum, distance);
    if constexpr (kSums != Sums::kNone)
      p.first += __shfl_xor_sync(~0u, p.first, distance);
    if constexpr (kSums == Sums::kSmoothing)
      p.second += __shfl_xor_sync(~0u, p.second, distance);
  }
  return p;
}

/// Slots at the start of shared memory: 32 of warps, one of the block.
inline constexpr int kSlots = 33;

/// The same result in every thread. Once a kernel: the slots are not used again.
template <Sums kSums>
__device__ __forceinline__ Partial reduce_block(Partial p) {
  auto* const slots = reinterpret_cast<Partial*>(shared_memory());
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  p = reduce_warp<kSums>(p);
  if (lane == 0)
    slots[warp] = p;
  __syncthreads();
  return reduce_warp<kSums>(lane < static_cast<int>(blockDim.x / 32) ? slots[lane] : nothing());
}

/// The same result in every thread of the cluster, the same bits in each. Blocks may leave only after
/// cluster_wait(), which the caller owes: until then others read this one's slot.
template <Sums kSums>
__device__ __forceinline__ Partial reduce_cluster(Partial p) {
  Partial* const slot = reinterpret_cast<Partial*>(shared_memory()) + (kSlots - 1);
  p = reduce_block<kSums>(p);
  if (threadIdx.x == 0)
    *slot = p;
  cluster_arrive();
  cluster_wait();
  const int lane = static_cast<int>(threadIdx.x % 32);
  Partial of_rank = nothing();
  if (lane < cluster_size()) {
    const float4 v = load_from_rank(slot, lane);
    of_rank = {v.x, v.y, v.z, v.w};
  }
  of_rank = reduce_warp<kSums>(of_rank);
  cluster_arrive();
  return of_rank;
}

}  // namespace assay::kernels::backprop::device
