// SPDX-License-Identifier: Apache-2.0
// Device code: the two loops over a row. Neighbouring threads take neighbouring vectors; the loads of kUnroll
// vectors are issued before the first is used.
#pragma once

#include "kernels/backprop/softmax_pass_statistics.cuh"

namespace assay::kernels::backprop::device {

inline constexpr int kUnroll = 4;

/// Vectors [begin, end) of a row, this block's part of it.
struct Part {
  int begin, end;
};

/// kUnroll vectors from `vector` on, a block's width apart; −∞ behind the end.
template <class T>
__device__ __forceinline__ void load_batch(const RowView<T>& view, int vector, int end, std::uint64_t hint,
                                           uint4 (&raw)[kUnroll]) {
  constexpr std::uint32_t kNone = Elements<T>::kMinusInfinities;
#pragma unroll
  for (int u = 0; u < kUnroll; ++u) {
    const int at = vector + u * static_cast<int>(blockDim.x);
    raw[u] = make_uint4(kNone, kNone, kNone, kNone);
    if (at < end)
      raw[u] = load_vector(view.at(at), hint);
  }
}

/// Statistics of what this thread reads of the part. `stage`, if not null, keeps the vectors for the second
/// sweep, each for the thread that read it.
template <class T, bool kGeneral, Sums kSums, bool kStage>
__device__ __forceinline__ Partial gather(const Rows& rows, const RowView<T>& view, Part part,
                                          const Smoothing& smoothing, uint4* stage, bool read_again) {
  constexpr int kCount = Elements<T>::kPerVector;
  const int threads = static_cast<int>(blockDim.x);
  const std::uint64_t hint = read_again ? policy<Use::kKeep>() : policy<Use::kLast>();
  Partial p = nothing();
  for (int vector = part.begin + static_cast<int>(threadIdx.x); vector < part.end;
       vector += kUnroll * threads) {
    uint4 raw[kUnroll];
    load_batch<T>(view, vector, part.end, hint, raw);
    if constexpr (kStage) {
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (vector + u * threads < part.end)
          stage[vector - part.begin + u * threads] = raw[u];
      }
    }
    float v[kCount], unused[kCount];
    if constexpr (kGeneral) {
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (vector + u * threads >= part.end)
          break;
        const int first = view.first_of(vector + u * threads);
        Elements<T>::unpack(raw[u], v);
        transform<T, kGeneral>(rows, first, v, unused);
        add<kSums>(p, v, rows.scale);
        if constexpr (kSums == Sums::kSmoothing)
          add_weighted(p, smoothing, first, v);
      }
    } else {
      // One rescaling for the whole batch; what lies behind the end adds 0.
      float largest = -INFINITY;
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        Elements<T>::unpack(raw[u], v);
        largest = fmaxf(largest, largest_of(v));
      }
      raise_shift<kSums>(p, fmaxf(p.shift, largest * rows.scale));
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        Elements<T>::unpack(raw[u], v);
        add_below<kSums>(p, v, rows.scale);
      }
    }
  }
  return p;
}

/// Rewrites the part: every vector through change(first element, values), read from `stage` or else from
/// memory.
template <class T, bool kStage, class Change>
__device__ __forceinline__ void rewrite(const RowView<T>& view, Part part, const uint4* stage,
                                        Change change) {
  constexpr int kCount = Elements<T>::kPerVector;
  const int threads = static_cast<int>(blockDim.x);
  const std::uint64_t hint = policy<Use::kLast>();
  for (int vector = part.begin + static_cast<int>(threadIdx.x); vector < part.end;
       vector += kUnroll * threads) {
    uint4 raw[kUnroll];
    if constexpr (kStage) {
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (vector + u * threads < part.end)
          raw[u] = stage[vector - part.begin + u * threads];
      }
    } else {
      load_batch<T>(view, vector, part.end, hint, raw);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int at = vector + u * threads;
      if (at >= part.end)
        break;
      float x[kCount];
      Elements<T>::unpack(raw[u], x);
      change(view.first_of(at), x);
      store_vector<Use::kLast>(view.at(at), Elements<T>::pack(x), hint);
    }
  }
}

/// The part, and with `edges` what lies outside vectors, becomes `value`.
template <class T>
__device__ __forceinline__ void fill(const RowView<T>& view, Part part, bool edges, float value) {
  float x[Elements<T>::kPerVector];
#pragma unroll
  for (float& element : x) element = value;
  const uint4 raw = Elements<T>::pack(x);
  for (int vector = part.begin + static_cast<int>(threadIdx.x); vector < part.end;
       vector += static_cast<int>(blockDim.x))
    store_vector<Use::kDefault>(view.at(vector), raw, 0);
  if (edges && static_cast<int>(threadIdx.x) < view.num_edges())
    view.data[view.edge(static_cast<int>(threadIdx.x))] = Elements<T>::narrow(value);
}

}  // namespace assay::kernels::backprop::device
