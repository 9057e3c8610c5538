// SPDX-License-Identifier: Apache-2.0
// Device code of the norm, forward. A thread holds vectors lane, lane + threads, … of its row.
#pragma once

#include "kernels/llama/elements.cuh"

namespace assay::kernels::llama::device {

struct RmsNorm {
  const void *x, *residual, *weight;  // residual null: none
  void *sum, *y;
  float* rstd;  // null: not kept
  std::int64_t x_stride, residual_stride, sum_stride, y_stride;
  std::int64_t rows, row_step;  // a block (or its warps) takes rows first, first + row_step, …
  int hidden;
  float eps;
  bool aligned;
};

template <bool kWarp>
__device__ __forceinline__ std::int64_t first_row() {
  if constexpr (kWarp)
    return std::int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
  else
    return blockIdx.x;
}

/// x + residual as it is stored.
template <class T>
__device__ __forceinline__ void add_rounded(float (&x)[kPerVector<T>], const float (&r)[kPerVector<T>]) {
#pragma unroll
  for (int i = 0; i < kPerVector<T>; ++i) x[i] = widen(narrow<T>(x[i] + r[i]));
}
template <class T>
__device__ __forceinline__ uint4 sum_of(const uint4& a, const uint4& b) {
  float x[kPerVector<T>], r[kPerVector<T>];
  unpack<T>(a, x);
  unpack<T>(b, r);
#pragma unroll
  for (int i = 0; i < kPerVector<T>; ++i) x[i] += r[i];
  return pack<T>(x);
}

__device__ __forceinline__ float rstd_of(float squares, const RmsNorm& p) {
  return inverse_square_root(squares / static_cast<float>(p.hidden) + p.eps);
}

template <class T>
__device__ __forceinline__ void normalize(float (&x)[kPerVector<T>], const float (&w)[kPerVector<T>],
                                          float rstd) {
#pragma unroll
  for (int i = 0; i < kPerVector<T>; ++i) x[i] = x[i] * rstd * w[i];
}

/// Rows in registers: whole aligned vectors.
template <class T, int kVectors, bool kWarp>
__global__ void __launch_bounds__(kWarp ? 128 : 512) rms_norm_kernel(const __grid_constant__ RmsNorm p) {
  constexpr int kPer = kPerVector<T>;
  const unsigned threads = kWarp ? 32 : blockDim.x, lane = threadIdx.x % threads;
  const unsigned vectors = static_cast<unsigned>(p.hidden) / kPer;
  const std::uint64_t policy = once_policy();
  const T* const weight = static_cast<const T*>(p.weight);
  int turn = 0;
  for (std::int64_t row = first_row<kWarp>(); row < p.rows; row += p.row_step, turn ^= 1) {
    // All loads before the first use.
    const T* const x = static_cast<const T*>(p.x) + row * p.x_stride;
    uint4 h[kVectors] = {}, w[kVectors] = {};
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      if (const unsigned at = lane + v * threads; at < vectors)
        h[v] = load_once(x + at * kPer, policy);
    }
    if (p.residual != nullptr) {
      const T* const residual = static_cast<const T*>(p.residual) + row * p.residual_stride;
      T* const sum = static_cast<T*>(p.sum) + row * p.sum_stride;
      uint4 r[kVectors] = {};
#pragma unroll
      for (int v = 0; v < kVectors; ++v) {
        if (const unsigned at = lane + v * threads; at < vectors)
          r[v] = load_once(residual + at * kPer, policy);
      }
#pragma unroll
      for (int v = 0; v < kVectors; ++v) {
        h[v] = sum_of<T>(h[v], r[v]);
        if (const unsigned at = lane + v * threads; at < vectors)
          store_vector(sum + at * kPer, h[v]);
      }
    }
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      if (const unsigned at = lane + v * threads; at < vectors)
        w[v] = load_shared_by_rows(weight + at * kPer);
    }

    // Vectors beyond the row are zeros and add nothing.
    float squares = 0.0f;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      float wide[kPer];
      unpack<T>(h[v], wide);
#pragma unroll
      for (int i = 0; i < kPer; ++i) squares += wide[i] * wide[i];
    }
    const float rstd = rstd_of(sum_over_row<kWarp>(squares, shared_floats() + turn * kMaxWarps), p);
    if (lane == 0 && p.rstd != nullptr)
      p.rstd[row] = rstd;

    T* const y = static_cast<T*>(p.y) + row * p.y_stride;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      float wide[kPer], scale[kPer];
      unpack<T>(h[v], wide);
      unpack<T>(w[v], scale);
      normalize<T>(wide, scale, rstd);
      if (const unsigned at = lane + v * threads; at < vectors)
        store_vector(y + at * kPer, pack<T>(wide));
    }
  }
}

/// Rows of any length and alignment, read twice: the second time from L2, or L1.
template <class T>
__global__ void __launch_bounds__(512) rms_norm_loop_kernel(const __grid_constant__ RmsNorm p) {
  constexpr int kPer = kPerVector<T>;
  const int step = static_cast<int>(blockDim.x) * kPer;
  const std::uint64_t policy = once_policy();
  const T* const weight = static_cast<const T*>(p.weight);
  int turn = 0;
  for (std::int64_t row = blockIdx.x; row < p.rows; row += p.row_step, turn ^= 1) {
    const T* h = static_cast<const T*>(p.x) + row * p.x_stride;
    T* const sum = static_cast<T*>(p.sum) + row * p.sum_stride;
    float squares = 0.0f;
    for (int c = static_cast<int>(threadIdx.x) * kPer; c < p.hidden; c += step) {
      float x[kPer];
      load_some(h + c, p.hidden - c, p.aligned, policy, x);
      if (p.residual != nullptr) {
        float r[kPer];
        load_some(static_cast<const T*>(p.residual) + row * p.residual_stride + c, p.hidden - c, p.aligned,
                  policy, r);
        add_rounded<T>(x, r);
        store_some(sum + c, p.hidden - c, p.aligned, x);
      }
#pragma unroll
      for (int i = 0; i < kPer; ++i) squares += x[i] * x[i];
    }
    const float rstd = rstd_of(sum_over_row<false>(squares, shared_floats() + turn * kMaxWarps), p);
    if (threadIdx.x == 0 && p.rstd != nullptr)
      p.rstd[row] = rstd;
    if (p.residual != nullptr)
      h = sum;  // each thread reads back what it wrote itself
    T* const y = static_cast<T*>(p.y) + row * p.y_stride;
    for (int c = static_cast<int>(threadIdx.x) * kPer; c < p.hidden; c += step) {
      float x[kPer], w[kPer];
      load_some(h + c, p.hidden - c, p.aligned, policy, x);
      load_some(weight + c, p.hidden - c, p.aligned, policy, w);
      normalize<T>(x, w, rstd);
      store_some(y + c, p.hidden - c, p.aligned, x);
    }
  }
}

}  // namespace assay::kernels::llama::device
