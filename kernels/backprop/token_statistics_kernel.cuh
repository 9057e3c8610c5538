// SPDX-License-Identifier: Apache-2.0
// Device code: log-probability, entropy and lse of each row, and their gradient. A row a block, one sweep
// each.
#pragma once

#include "kernels/backprop/softmax_pass_sweep.cuh"

namespace assay::kernels::backprop::device {

/// By value in the parameter bank.
struct TokenStatistics {
  Rows rows;
  const std::int64_t* tokens;
  float* statistics;            // [rows, 3]; the gradient reads it
  const float* upstream;        // [rows, 3]; gradient only
  const float* gradient_scale;  // null: 1; gradient only
};

template <class T, bool kGeneral>
__global__ void __launch_bounds__(1024) token_statistics_kernel(const __grid_constant__ TokenStatistics p) {
  constexpr Sums kSums = Sums::kEntropy;
  const std::int64_t row = blockIdx.x, token = p.tokens[row];
  const int thread = static_cast<int>(threadIdx.x);
  float* const out = p.statistics + 3 * row;
  if (token < 0 || token >= p.rows.vocab) {
    if (thread < 3)
      out[thread] = token < 0 ? 0.0f : NAN;
    return;
  }
  const RowView<T> view(p.rows, row);
  float edge[1], unused[1];
  Partial mine = gather<T, kGeneral, kSums, false>(p.rows, view, {0, view.vectors}, {}, nullptr, false);
  if (thread < view.num_edges()) {
    edge[0] = Elements<T>::widen(view.data[view.edge(thread)]);
    transform<T, kGeneral>(p.rows, view.edge(thread), edge, unused);
    add<kSums>(mine, edge, p.rows.scale);
  }
  const Partial total = reduce_block<kSums>(mine);
  if (thread == 0) {
    float value[1] = {Elements<T>::widen(view.data[token])};
    transform<T, kGeneral>(p.rows, static_cast<int>(token), value, unused);
    const float log_sum = log2f(total.sum);
    out[0] = kLn2 * (fmaf(value[0], p.rows.scale, -total.shift) - log_sum);
    out[1] = kLn2 * (log_sum - total.first / total.sum);
    out[2] = kLn2 * (total.shift + log_sum);
  }
}

/// Of one row, with t = log2 p_v: gradient_v = (p_v · (constant + per_log2 · t) + [v = token] · token_term) ·
/// dv/dx.
struct StatisticsTerms {
  float log2_sum, constant, per_log2, token_term;
  int token;
};

template <class T, bool kGeneral, int kCount>
__device__ __forceinline__ void to_gradient(const Rows& rows, const StatisticsTerms& g, int first,
                                            float (&x)[kCount]) {
  float slope[kCount];
  transform<T, kGeneral>(rows, first, x, slope);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const float t = fmaf(x[i], rows.scale, -g.log2_sum);
    x[i] = exp2_approx(t) * fmaf(g.per_log2, fmaxf(t, kLowestLog2), g.constant);
  }
  const int token = g.token - first;
  if (token >= 0 && token < kCount) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) x[i] += i == token ? g.token_term : 0.0f;
  }
  if constexpr (kGeneral) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) x[i] *= slope[i];
  }
}

template <class T, bool kGeneral>
__global__ void __launch_bounds__(1024)
    token_statistics_gradient_kernel(const __grid_constant__ TokenStatistics p) {
  const std::int64_t row = blockIdx.x, token = p.tokens[row];
  const int thread = static_cast<int>(threadIdx.x);
  const RowView<T> view(p.rows, row);
  const Part part{0, view.vectors};
  if (token < 0 || token >= p.rows.vocab)
    return fill(view, part, true, token < 0 ? 0.0f : NAN);

  const float *const statistics = p.statistics + 3 * row, *const upstream = p.upstream + 3 * row;
  const float scale = (p.gradient_scale == nullptr ? 1.0f : __ldg(p.gradient_scale)) * p.rows.slope;
  const float to_logp = scale * upstream[0], to_entropy = scale * upstream[1], to_lse = scale * upstream[2];
  const StatisticsTerms terms{statistics[2] * kLog2E, to_lse - to_logp - to_entropy * statistics[1],
                              -to_entropy * kLn2, to_logp, static_cast<int>(token)};
  rewrite<T, false>(view, part, nullptr, [&](int first, float(&x)[Elements<T>::kPerVector]) {
    to_gradient<T, kGeneral>(p.rows, terms, first, x);
  });
  if (thread < view.num_edges()) {
    float edge[1] = {Elements<T>::widen(view.data[view.edge(thread)])};
    to_gradient<T, kGeneral>(p.rows, terms, view.edge(thread), edge);
    view.data[view.edge(thread)] = Elements<T>::narrow(edge[0]);
  }
}

}  // namespace assay::kernels::backprop::device
