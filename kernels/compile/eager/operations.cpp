// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/eager/operations.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <limits>

namespace assay::kernels::compile::eager {
namespace {

using at::Tensor;

Tensor wide(const Tensor& x) {
  return x.to(at::kFloat);
}

/// Queries, keys and values of one sequence as [heads, L, D] in f32; keys repeated for the heads they serve.
struct Sequence {
  Tensor q, k, v;
  std::int64_t group;
};

Tensor split(const Tensor& x, std::int64_t begin, std::int64_t length, std::int64_t head_dim) {
  return wide(x.narrow(0, begin, length)).view({length, -1, head_dim}).transpose(0, 1);
}

Sequence sequence_of(const AttentionTensors& t, std::int64_t begin, std::int64_t length,
                     std::int64_t head_dim) {
  Sequence s{split(t.q, begin, length, head_dim), split(t.k, begin, length, head_dim),
             split(t.v, begin, length, head_dim), 0};
  s.group = s.q.size(0) / s.k.size(0);
  s.k = s.k.repeat_interleave(s.group, 0);
  s.v = s.v.repeat_interleave(s.group, 0);
  return s;
}

/// Scaled scores [heads, L, L], −∞ where a key lies behind its query.
Tensor scores_of(const Sequence& s) {
  const std::int64_t length = s.q.size(1);
  const Tensor scores = s.q.matmul(s.k.transpose(1, 2)) / std::sqrt(static_cast<double>(s.q.size(2)));
  const Tensor later = scores.new_ones({length, length}, at::kBool).triu(1);
  return scores.masked_fill(later, -std::numeric_limits<double>::infinity());
}

/// [heads, L, D] to [L, heads · D]
Tensor joined(const Tensor& x) {
  return x.transpose(0, 1).reshape({x.size(1), -1});
}

template <class Body>
void for_each_sequence(const Tensor& boundaries, const Body& body) {
  const Tensor host = boundaries.cpu();
  const auto* at = host.const_data_ptr<std::int32_t>();
  for (std::int64_t i = 0; i + 1 < boundaries.numel(); ++i) {
    if (at[i + 1] > at[i])
      body(at[i], at[i + 1] - at[i]);
  }
}

}  // namespace

void multiply(const Tensor& a, const Tensor& b, Tensor out, double alpha, double beta) {
  const Tensor product = at::mm(wide(a), wide(b)) * alpha;
  out.copy_(beta == 0.0 ? product : product + wide(out) * beta);
}

void rms_norm(const Tensor& x, const Tensor& weight, double eps, Tensor y, Tensor rstd) {
  const Tensor value = wide(x);
  const Tensor inverse = at::rsqrt(value.square().mean(1, /*keepdim=*/true) + eps);
  rstd.copy_(inverse);
  y.copy_(value * inverse * wide(weight));
}

void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& rstd, const Tensor& weight,
                       const Tensor& more, Tensor dx) {
  const Tensor unit = wide(x) * rstd, upstream = wide(dy) * wide(weight);
  Tensor gradient = rstd * (upstream - unit * (upstream * unit).mean(1, /*keepdim=*/true));
  dx.copy_(more.defined() ? gradient + wide(more) : gradient);
}

void rope(Tensor x, const Tensor& positions, const Tensor& frequencies, bool reversed) {
  const std::int64_t half = frequencies.numel();
  const Tensor angle =
      (wide(positions).view({-1, 1}) * frequencies.view({1, -1})).unsqueeze(1);  // [T, 1, D/2]
  const Tensor cos = angle.cos(), sin = reversed ? -angle.sin() : angle.sin();
  const Tensor heads = wide(x).view({x.size(0), -1, 2 * half});
  const Tensor low = heads.narrow(2, 0, half), high = heads.narrow(2, half, half);
  x.copy_(at::cat({low * cos - high * sin, high * cos + low * sin}, 2).view(x.sizes()));
}

void swiglu(const Tensor& gate, const Tensor& up, Tensor out) {
  const Tensor g = wide(gate);
  out.copy_(g * at::sigmoid(g) * wide(up));
}

void swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& upstream, Tensor dgate, Tensor dup) {
  const Tensor g = wide(gate), sigmoid = at::sigmoid(g), d = wide(upstream);
  dgate.copy_(d * wide(up) * sigmoid * (1 + g * (1 - sigmoid)));
  dup.copy_(d * g * sigmoid);
}

void attention(const AttentionTensors& t, std::int64_t head_dim) {
  for_each_sequence(t.boundaries, [&](std::int64_t begin, std::int64_t length) {
    const Sequence s = sequence_of(t, begin, length, head_dim);
    const Tensor scores = scores_of(s), lse = at::logsumexp(scores, 2, /*keepdim=*/true);
    t.o.narrow(0, begin, length).copy_(joined((scores - lse).exp().matmul(s.v)));
    t.lse.narrow(0, begin, length).copy_(lse.squeeze(2).transpose(0, 1));
  });
}

void attention_backward(const AttentionTensors& t, std::int64_t head_dim, const Tensor& d_o, Tensor dq,
                        Tensor dk, Tensor dv) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
  for_each_sequence(t.boundaries, [&](std::int64_t begin, std::int64_t length) {
    const Sequence s = sequence_of(t, begin, length, head_dim);
    const Tensor lse = t.lse.narrow(0, begin, length).transpose(0, 1).unsqueeze(2);
    const Tensor p = (scores_of(s) - lse).exp();
    const Tensor upstream = split(d_o, begin, length, head_dim), o = split(t.o, begin, length, head_dim);
    const Tensor dp = upstream.matmul(s.v.transpose(1, 2)), delta = (upstream * o).sum(2, /*keepdim=*/true);
    const Tensor ds = p * (dp - delta) * scale;
    const auto of_group = [&](const Tensor& x) {  // the sum over the query heads that a key serves
      return x.view({-1, s.group, length, head_dim}).sum(1);
    };
    dq.narrow(0, begin, length).copy_(joined(ds.matmul(s.k)));
    dk.narrow(0, begin, length).copy_(joined(of_group(ds.transpose(1, 2).matmul(s.q))));
    dv.narrow(0, begin, length).copy_(joined(of_group(p.transpose(1, 2).matmul(upstream))));
  });
}

void head_loss(const Tensor& h, const Tensor& head, const Tensor& labels, Tensor loss, Tensor dh) {
  const Tensor target = labels.view({-1}), counts = target.ne(-100);
  const Tensor number = counts.sum().to(at::kFloat).clamp_min(1);
  const Tensor logp = at::log_softmax(at::mm(wide(h), wide(head).t()), 1);
  const Tensor index = at::where(counts, target, 0).unsqueeze(1);
  loss.copy_((-logp.gather(1, index).squeeze(1) * counts).sum() / number);
  Tensor gradient = logp.exp();
  gradient.scatter_add_(1, index, gradient.new_full({h.size(0), 1}, -1));
  dh.copy_(at::mm(gradient * counts.unsqueeze(1) / number, wide(head)));
}

void adamw(const Tensor& gradient, const Tensor& square_sum, const Tensor& settings, const AdamWTensors& t) {
  constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
  const Tensor set = settings.view({-1});
  const Tensor rate = set[0], step = set[1], decay = set[2], largest = set[3];
  if (largest.item<float>() > 0 && !std::isfinite(square_sum.item<float>()))
    return;
  const Tensor factor = at::where(
      largest.gt(0), (largest / (square_sum.squeeze().sqrt() + 1e-6)).clamp_max(1), at::scalar_tensor(1.0));
  const Tensor clipped = gradient * factor;
  t.mean.mul_(kBeta1).add_(clipped, 1 - kBeta1);
  t.square.mul_(kBeta2).addcmul_(clipped, clipped, 1 - kBeta2);
  const Tensor mean = t.mean / (1 - at::scalar_tensor(kBeta1).pow(step));
  const Tensor root = (t.square / (1 - at::scalar_tensor(kBeta2).pow(step))).sqrt() + kEpsilon;
  t.parameter.mul_(1 - rate * decay).sub_(rate * mean / root);
  t.copy.copy_(t.parameter);
}

}  // namespace assay::kernels::compile::eager
