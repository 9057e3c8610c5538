// SPDX-License-Identifier: Apache-2.0
// Device code of the norm, backward: dh of a row, and with a trainable weight the block's own sum of dy · n,
// which a second kernel adds up over blocks.
#pragma once

#include "kernels/llama/rms_norm_kernel.cuh"

namespace assay::kernels::llama::device {

struct RmsNormGradient {
  const void *h, *weight, *dy, *dsum;  // dsum null: none
  const float* rstd;
  void* dh;
  float* partial;  // [blocks, hidden]; null: the weight is frozen
  std::int64_t h_stride, dy_stride, dsum_stride, dh_stride;
  std::int64_t rows, row_step;
  int hidden;
  bool aligned;
};

/// rstd · (g − n · mean), g = dy · w, n = h · rstd; into `dy`.
template <class T>
__device__ __forceinline__ void gradient_of(float (&dy)[kPerVector<T>], const float (&h)[kPerVector<T>],
                                            const float (&w)[kPerVector<T>], float rstd, float mean) {
#pragma unroll
  for (int i = 0; i < kPerVector<T>; ++i) dy[i] = rstd * (dy[i] * w[i] - h[i] * rstd * mean);
}

/// Rows in registers: whole aligned vectors.
template <class T, int kVectors, bool kWarp, bool kSumsWeight>
__global__ void __launch_bounds__(kWarp ? 128 : 512)
    rms_norm_backward_kernel(const __grid_constant__ RmsNormGradient p) {
  constexpr int kPer = kPerVector<T>;
  const unsigned threads = kWarp ? 32 : blockDim.x, lane = threadIdx.x % threads;
  const unsigned vectors = static_cast<unsigned>(p.hidden) / kPer;
  const std::uint64_t policy = once_policy();
  const T* const weight = static_cast<const T*>(p.weight);
  float dw[kSumsWeight ? kVectors : 1][kPer] = {};
  int turn = 0;
  for (std::int64_t row = first_row<kWarp>(); row < p.rows; row += p.row_step, turn ^= 1) {
    // All loads before the first use.
    const T* const h_row = static_cast<const T*>(p.h) + row * p.h_stride;
    const T* const dy_row = static_cast<const T*>(p.dy) + row * p.dy_stride;
    uint4 h[kVectors] = {}, dy[kVectors] = {}, w[kVectors] = {}, dsum[kVectors] = {};
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      if (const unsigned at = lane + v * threads; at < vectors) {
        h[v] = load_once(h_row + at * kPer, policy);
        dy[v] = load_once(dy_row + at * kPer, policy);
        w[v] = load_shared_by_rows(weight + at * kPer);
      }
    }
    if (p.dsum != nullptr) {
      const T* const dsum_row = static_cast<const T*>(p.dsum) + row * p.dsum_stride;
#pragma unroll
      for (int v = 0; v < kVectors; ++v) {
        if (const unsigned at = lane + v * threads; at < vectors)
          dsum[v] = load_once(dsum_row + at * kPer, policy);
      }
    }
    const float rstd = p.rstd[row];

    // Vectors beyond the row are zeros and add nothing.
    float dot = 0.0f;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      float wide_h[kPer], wide_dy[kPer], wide_w[kPer];
      unpack<T>(h[v], wide_h);
      unpack<T>(dy[v], wide_dy);
      unpack<T>(w[v], wide_w);
#pragma unroll
      for (int i = 0; i < kPer; ++i) {
        const float n = wide_h[i] * rstd;
        dot += wide_dy[i] * wide_w[i] * n;
        if constexpr (kSumsWeight)
          dw[v][i] += wide_dy[i] * n;
      }
    }
    dot = sum_over_row<kWarp>(dot, shared_floats() + turn * kMaxWarps);
    const float mean = dot / static_cast<float>(p.hidden);

    T* const dh = static_cast<T*>(p.dh) + row * p.dh_stride;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      float wide_h[kPer], g[kPer], wide_w[kPer], past[kPer];
      unpack<T>(h[v], wide_h);
      unpack<T>(dy[v], g);
      unpack<T>(w[v], wide_w);
      unpack<T>(dsum[v], past);
      gradient_of<T>(g, wide_h, wide_w, rstd, mean);
#pragma unroll
      for (int i = 0; i < kPer; ++i) g[i] += past[i];
      if (const unsigned at = lane + v * threads; at < vectors)
        store_vector(dh + at * kPer, pack<T>(g));
    }
  }
  if constexpr (kSumsWeight) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const unsigned at = lane + v * threads;
      if (at >= vectors)
        continue;
      float* const to = p.partial + std::int64_t{blockIdx.x} * p.hidden + at * kPer;
#pragma unroll
      for (int i = 0; i < kPer; i += 4)
        store_vector(to + i, make_uint4(as_bits(dw[v][i]), as_bits(dw[v][i + 1]), as_bits(dw[v][i + 2]),
                                        as_bits(dw[v][i + 3])));
    }
  }
}

/// Rows of any length and alignment, read twice; the block's sum of dy · n grows in memory.
template <class T>
__global__ void __launch_bounds__(512)
    rms_norm_backward_loop_kernel(const __grid_constant__ RmsNormGradient p) {
  constexpr int kPer = kPerVector<T>;
  const int step = static_cast<int>(blockDim.x) * kPer, first = static_cast<int>(threadIdx.x) * kPer;
  const std::uint64_t policy = once_policy();
  const T* const weight = static_cast<const T*>(p.weight);
  int turn = 0;
  for (std::int64_t row = blockIdx.x; row < p.rows; row += p.row_step, turn ^= 1) {
    const T* const h_row = static_cast<const T*>(p.h) + row * p.h_stride;
    const T* const dy_row = static_cast<const T*>(p.dy) + row * p.dy_stride;
    const float rstd = p.rstd[row];
    float dot = 0.0f;
    for (int c = first; c < p.hidden; c += step) {
      float h[kPer], dy[kPer], w[kPer];
      load_some(h_row + c, p.hidden - c, p.aligned, policy, h);
      load_some(dy_row + c, p.hidden - c, p.aligned, policy, dy);
      load_some(weight + c, p.hidden - c, p.aligned, policy, w);
#pragma unroll
      for (int i = 0; i < kPer; ++i) {
        const float n = h[i] * rstd;
        dot += dy[i] * w[i] * n;
        if (p.partial != nullptr && c + i < p.hidden) {
          float& sum = p.partial[std::int64_t{blockIdx.x} * p.hidden + c + i];
          sum = row == blockIdx.x ? dy[i] * n : sum + dy[i] * n;
        }
      }
    }
    dot = sum_over_row<false>(dot, shared_floats() + turn * kMaxWarps);
    const float mean = dot / static_cast<float>(p.hidden);
    T* const dh = static_cast<T*>(p.dh) + row * p.dh_stride;
    for (int c = first; c < p.hidden; c += step) {
      float h[kPer], g[kPer], w[kPer];
      load_some(h_row + c, p.hidden - c, p.aligned, policy, h);
      load_some(dy_row + c, p.hidden - c, p.aligned, policy, g);
      load_some(weight + c, p.hidden - c, p.aligned, policy, w);
      gradient_of<T>(g, h, w, rstd, mean);
      if (p.dsum != nullptr) {
        float past[kPer];
        load_some(static_cast<const T*>(p.dsum) + row * p.dsum_stride + c, p.hidden - c, p.aligned, policy,
                  past);
#pragma unroll
        for (int i = 0; i < kPer; ++i) g[i] += past[i];
      }
      store_some(dh + c, p.hidden - c, p.aligned, g);
    }
  }
}

/// dw[c] = Σ_b partial[b, c], in a fixed order: blockDim is 32 columns of 32 summands each.
struct WeightSum {
  const float* partial;
  void* dw;
  int blocks, hidden;
};
inline constexpr int kSumColumns = 32, kSumRows = 32;

template <class T>
__global__ void __launch_bounds__(kSumColumns* kSumRows)
    sum_weight_gradient_kernel(const __grid_constant__ WeightSum p) {
  const int lane = static_cast<int>(threadIdx.x) % kSumColumns,
            part = static_cast<int>(threadIdx.x) / kSumColumns;
  const int column = static_cast<int>(blockIdx.x) * kSumColumns + lane;
  float sum = 0.0f;
  if (column < p.hidden) {
#pragma unroll 4
    for (int b = part; b < p.blocks; b += kSumRows) sum += p.partial[std::int64_t{b} * p.hidden + column];
  }
  float* const sums = shared_floats();  // [kSumRows][kSumColumns + 1], so that columns lie in different banks
  sums[part * (kSumColumns + 1) + lane] = sum;
  __syncthreads();
  // Warp `part` adds up column `part`.
  float total = sums[lane * (kSumColumns + 1) + part];
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) total += shuffle_xor(total, distance);
  const int whole = static_cast<int>(blockIdx.x) * kSumColumns + part;
  if (lane == 0 && whole < p.hidden)
    static_cast<T*>(p.dw)[whole] = narrow<T>(total);
}

}  // namespace assay::kernels::llama::device
