// SPDX-License-Identifier: Apache-2.0
#include "reference/attention/eager/attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>

#include <limits>

namespace assay::reference::attention::eager {
namespace {

at::ScalarType wide(const Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// Heads that share keys, one below another: [h, n, c] as [g, h / g · n, c].
Tensor grouped(const Tensor& of_queries, const Tensor& of_keys) {
  return of_queries.reshape({of_keys.size(0), -1, of_queries.size(2)});
}

}  // namespace

MadeScores scores_of(const Tensor& q, const Tensor& k, const Scores& s) {
  MadeScores made;
  made.x = at::bmm(grouped(q, k), k.transpose(1, 2)).mul_(s.scale).view({q.size(0), q.size(1), k.size(1)});
  if (s.softcap > 0.0) {
    const Tensor tanh = at::tanh(made.x / s.softcap);
    made.x = tanh * s.softcap;
    made.slope = 1.0 - tanh * tanh;
  }
  if (s.slopes.defined()) {
    const auto places = [&](std::int64_t count) {
      return at::arange(count, s.slopes.options().dtype(wide(q)));
    };
    const Tensor distance = places(k.size(1)).unsqueeze(0) - places(q.size(1)).unsqueeze(1);
    made.x.add_((s.slopes.to(wide(q)).view({-1, 1, 1}) * distance).to(q.scalar_type()));
  }
  if (s.visible.defined())
    made.x.masked_fill_(s.visible.logical_not(), -std::numeric_limits<double>::infinity());
  return made;
}

Output forward(const Tensor& q, const Tensor& k, const Tensor& v, const Scores& scores) {
  const Tensor x = scores_of(q, k, scores).x;
  const Tensor p = at::softmax(x, -1, wide(q)).to(q.scalar_type());
  return {at::bmm(grouped(p, k), v).view(q.sizes()), at::logsumexp(x.to(wide(q)), at::IntArrayRef{-1})};
}

Gradients backward_through(const MadeScores& made, const Tensor& q, const Tensor& k, const Tensor& v,
                           const Tensor& d_o, double scale) {
  const Tensor p = at::softmax(made.x, -1, wide(q));
  const Tensor dv = at::bmm(grouped(p.to(q.scalar_type()), k).transpose(1, 2), grouped(d_o, k));
  const Tensor dp = at::bmm(grouped(d_o, k), v.transpose(1, 2)).view(p.sizes()).to(wide(q));
  Tensor ds = at::_softmax_backward_data(dp, p, -1, wide(q)).to(q.scalar_type());
  if (made.slope.defined())
    ds = ds * made.slope;
  const Tensor dx = grouped(ds.mul_(scale), k);
  return {at::bmm(dx, k).view(q.sizes()), at::bmm(dx.transpose(1, 2), grouped(q, k)), dv};
}

Gradients backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& d_o,
                   const Scores& scores) {
  return backward_through(scores_of(q, k, scores), q, k, v, d_o, scores.scale);
}

}  // namespace assay::reference::attention::eager
