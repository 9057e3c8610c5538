// SPDX-License-Identifier: Apache-2.0
// Device code: softmax statistics of elements, threads, blocks and clusters, in one sweep and by a fixed
// tree.
//
// Units: y = v · scale is a logit in powers of two, z · log2 e; v is the logit itself, or tanh of it under a
// softcap. Every statistic is kept relative to `shift`, the largest y so far, so 2^(y − shift) <= 1, and
// rounding of shift does not matter as long as all use the same.
#pragma once

#include "kernels/backprop/softmax_pass_row.cuh"

namespace assay::kernels::backprop::device {

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
