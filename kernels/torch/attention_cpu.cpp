// SPDX-License-Identifier: Apache-2.0
// Attention on the CPU, as the formulas say: sequence after sequence, all scores at once.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "kernels/torch/attention_call.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

at::ScalarType wide_type(const Tensor& t) {
  return t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// Rows [begin, begin + length) of [B·L, …] that belong together.
struct Range {
  std::int64_t begin = 0, length = 0;
};
struct Sequence {
  Range queries, keys;
};

std::vector<Sequence> packed_sequences(const Tensor& cu_seqlens, std::int64_t rows, std::int64_t most) {
  const Tensor starts = cu_seqlens.contiguous();
  const auto* at = starts.const_data_ptr<std::int32_t>();
  std::vector<Sequence> out;
  for (std::int64_t i = 0; i + 1 < starts.numel(); ++i) {
    const Range range{at[i], std::int64_t{at[i + 1]} - at[i]};
    TORCH_CHECK_VALUE(range.begin >= 0 && range.length >= 0 && range.begin + range.length <= rows,
                      "expected cu_seqlens to rise from at least 0 to at most ", rows, " rows, found ", at[i],
                      " and then ", at[i + 1]);
    TORCH_CHECK_VALUE(most == 0 || range.length <= most, "expected sequences of at most max_length = ", most,
                      " tokens, found ", range.length);
    out.push_back({range, range});
  }
  return out;
}

std::vector<Sequence> sequences_of(const AttentionInputs& in, const AttentionOptions& o) {
  const std::int64_t batch = in.q.size(0), q_length = in.q.size(1), k_length = in.k.size(1);
  if (o.cu_seqlens)
    return packed_sequences(*o.cu_seqlens, batch * q_length, o.max_length);
  std::vector<Sequence> out;
  for (std::int64_t b = 0; b < batch; ++b)
    out.push_back({{b * q_length, q_length}, {b * k_length, k_length}});
  return out;
}

/// Rows of x [B, L, heads, D] as [groups, heads / groups · length, D] in the wide type: the heads that share
/// keys lie one behind another.
Tensor grouped(const Tensor& x, const Range& range, std::int64_t groups) {
  const Tensor rows = x.reshape({x.size(0) * x.size(1), x.size(2), x.size(3)});
  return rows.narrow(0, range.begin, range.length)
      .to(wide_type(x))
      .transpose(0, 1)
      .reshape({groups, x.size(2) / groups * range.length, x.size(3)});
}

/// The other way: into rows of `to` [B, L, heads, D], contiguous.
void ungroup(const Tensor& x, const Range& range, const Tensor& to) {
  const std::int64_t heads = to.size(2);
  to.view({to.size(0) * to.size(1), heads, to.size(3)})
      .narrow(0, range.begin, range.length)
      .copy_(x.reshape({heads, range.length, to.size(3)}).transpose(0, 1));
}

/// True where a key is hidden, [Lq, Lk]; undefined: nowhere.
Tensor hidden_pairs(const Sequence& s, const AttentionOptions& o, const Tensor& like) {
  const auto integers = like.options().dtype(at::kLong);
  const Tensor behind = at::arange(s.queries.length, integers).unsqueeze(1) -
                        at::arange(s.keys.length, integers).unsqueeze(0);  // q − k
  Tensor hidden;
  if (o.window > 0)
    hidden = behind.abs().ge(o.window);
  if (o.causal)
    hidden = hidden.defined() ? hidden.logical_or(behind.lt(0)) : behind.lt(0);
  return hidden;
}

struct Problem {
  Tensor q, k, v;  ///< grouped
  Tensor scores;   ///< [groups, group · Lq, Lk], −∞ where hidden
  Tensor slope;    ///< of the softcap at each score; undefined without one
  double scale = 1.0;
};

Problem problem_of(const AttentionInputs& in, const Sequence& s, const AttentionOptions& o) {
  const std::int64_t groups = in.k.size(2);
  Problem p{grouped(in.q, s.queries, groups),
            grouped(in.k, s.keys, groups),
            grouped(in.v, s.keys, groups),
            {},
            {},
            o.scale.value_or(1.0 / std::sqrt(static_cast<double>(in.q.size(3))))};
  p.scores = at::matmul(p.q, p.k.transpose(1, 2)) * p.scale;
  if (o.softcap > 0.0) {
    const Tensor tanh = (p.scores / o.softcap).tanh();
    p.scores = tanh * o.softcap;
    p.slope = 1 - tanh * tanh;
  }
  if (const Tensor hidden = hidden_pairs(s, o, in.q); hidden.defined())
    p.scores = p.scores.view({groups, -1, s.queries.length, s.keys.length})
                   .masked_fill(hidden, -kInfinity)
                   .view(p.scores.sizes());
  return p;
}

/// Probabilities; a query that sees nothing (lse = −∞) has none.
Tensor probabilities(const Tensor& scores, const Tensor& lse) {
  return (scores - lse.masked_fill(lse.eq(-kInfinity), 0.0)).exp();
}

/// The part of lse that belongs to a sequence, as [heads, Lq].
Tensor lse_part(const Tensor& lse, const Sequence& s, std::size_t index) {
  return lse.dim() == 3 ? lse.select(0, static_cast<std::int64_t>(index))
                        : lse.narrow(1, s.queries.begin, s.queries.length);
}

void check(const AttentionInputs& in, const AttentionOptions& options) {
  check_attention_types(in, options);
  check_attention_sizes(in, options);
  TORCH_CHECK_NOT_IMPLEMENTED(
      !options.has_text(),
      "expected attention's causal, window and softcap on the CPU, found a score_mod or "
      "mask_mod in CUDA C++; those need a GPU");
}

bool is_nothing(const Sequence& s, const AttentionInputs& in) {
  return s.queries.length == 0 || s.keys.length == 0 || in.q.size(2) == 0;
}

}  // namespace

AttentionResult attention_cpu(const AttentionInputs& in, const AttentionOptions& options) {
  check(in, options);
  const auto wide = in.q.options().dtype(wide_type(in.q));
  const std::int64_t batch = in.q.size(0), length = in.q.size(1), heads = in.q.size(2);
  AttentionResult out{at::zeros(in.q.sizes(), in.q.options()), {}};
  out.lse = options.cu_seqlens ? at::full({heads, batch * length}, -kInfinity, wide)
                               : at::full({batch, heads, length}, -kInfinity, wide);
  const std::vector<Sequence> sequences = sequences_of(in, options);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const Sequence& s = sequences[i];
    if (is_nothing(s, in))
      continue;
    const Problem p = problem_of(in, s, options);
    const Tensor lse = at::logsumexp(p.scores, 2, /*keepdim=*/true);
    ungroup(at::matmul(probabilities(p.scores, lse), p.v), s.queries, out.o);
    lse_part(out.lse, s, i).copy_(lse.view({heads, s.queries.length}));
  }
  return out;
}

AttentionInputs attention_backward_cpu(const Tensor& d_o, const AttentionInputs& in, const Tensor& lse,
                                       const AttentionOptions& options) {
  check(in, options);
  const std::int64_t groups = in.k.size(2);
  AttentionInputs out{at::zeros(in.q.sizes(), in.q.options()), at::zeros(in.k.sizes(), in.k.options()),
                      at::zeros(in.v.sizes(), in.v.options())};
  const std::vector<Sequence> sequences = sequences_of(in, options);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const Sequence& s = sequences[i];
    if (is_nothing(s, in))
      continue;
    const Problem problem = problem_of(in, s, options);
    const Tensor p =
        probabilities(problem.scores, lse_part(lse, s, i).reshape({groups, problem.q.size(1), 1}));
    const Tensor upstream = grouped(d_o, s.queries, groups);
    const Tensor dp = at::matmul(upstream, problem.v.transpose(1, 2));
    Tensor ds = p * (dp - (p * dp).sum(2, /*keepdim=*/true)) * problem.scale;
    if (problem.slope.defined())
      ds = ds * problem.slope;
    ungroup(at::matmul(ds, problem.k), s.queries, out.q);
    ungroup(at::matmul(ds.transpose(1, 2), problem.q), s.keys, out.k);
    ungroup(at::matmul(p.transpose(1, 2), upstream), s.keys, out.v);
  }
  return out;
}

}  // namespace assay::kernels::torch
