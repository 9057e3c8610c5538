// SPDX-License-Identifier: Apache-2.0
// Attention with a score function and a mask, f64, plain loops. Per sequence b, query head h and query i,
// with g = h / (q_heads / kv_heads):
//   x_j = scale · Σ_d q[i,h,d]·k[j,g,d],   s_j = score_mod(x_j, b, h, i, j) where mask_mod(b, h, i, j), else
//   −∞, lse = log Σ_j exp s_j,   p_j = exp(s_j − lse),   o[i,h,:] = Σ_j p_j·v[j,g,:].
// A query that sees no key has o = 0 and lse = −∞, and gets and gives no gradient.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace assay::reference::attention {

/// s, ∂s/∂x, and ∂s/∂θ for each learnable element θ = parameters[slot][index] that this score read.
struct Score {
  struct Read {
    int slot = 0;
    std::int64_t index = 0;
    double derivative = 0.0;
  };
  double value = 0.0;
  double derivative = 1.0;
  std::vector<Read> reads = {};
};

/// i and j count within the sequence. Null members: s = x, everything visible.
struct Mods {
  std::function<Score(double x, int b, int h, int i, int j)> score;
  std::function<bool(int b, int h, int i, int j)> mask;
};

/// Sequences one behind another: b's queries are rows [q_starts[b], q_starts[b + 1]), its keys the same of
/// k_starts.
struct Shape {
  std::vector<int> q_starts, k_starts;
  int q_heads = 1, kv_heads = 1, head_size = 1;
  double scale = 1.0;

  int batch() const { return static_cast<int>(q_starts.size()) - 1; }
  std::size_t q_elements() const { return static_cast<std::size_t>(q_starts.back()) * q_heads * head_size; }
  std::size_t kv_elements() const { return static_cast<std::size_t>(k_starts.back()) * kv_heads * head_size; }
};

/// What a plain layer at lower precision does to every matrix it stores: scores before and after the mod,
/// probabilities, results, gradients of all of them. Null: nothing, the oracle.
using Rounding = std::function<double(double)>;

/// q, o: [rows, q_heads, head_size]; k, v: [rows, kv_heads, head_size]; lse: [rows, q_heads].
struct Output {
  std::vector<double> o, lse;
};
Output forward(const Shape& shape, const Mods& mods, std::span<const double> q, std::span<const double> k,
               std::span<const double> v, const Rounding& round = {});

/// Gradients of Σ o·d_o + Σ lse·d_lse (d_lse empty: 0). `parameters` has `parameter_sizes.size()` slots.
struct Gradients {
  std::vector<double> q, k, v;
  std::vector<std::vector<double>> parameters;
};
Gradients backward(const Shape& shape, const Mods& mods, std::span<const double> q, std::span<const double> k,
                   std::span<const double> v, std::span<const double> d_o, std::span<const double> d_lse,
                   const std::vector<std::int64_t>& parameter_sizes, const Rounding& round = {});

}  // namespace assay::reference::attention
