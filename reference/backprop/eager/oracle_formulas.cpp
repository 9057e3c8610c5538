// SPDX-License-Identifier: Apache-2.0
// Derivatives written out, in f64: autograd, which the judged code uses, has no part in them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "reference/backprop/eager/oracle_torch.hpp"

namespace assay::reference::backprop::eager {
namespace {

using at::Tensor;

struct Softmax {
  Tensor dz_dx, log_p, p, lse;  // [R, V] each, lse [R, 1]
};

Softmax softmax_of(const Tensor& x, const Transform& transform) {
  Softmax s;
  Tensor z = x;
  s.dz_dx = at::zeros_like(x) + 1.0 / transform.temperature;
  if (transform.softcap > 0) {
    const Tensor t = at::tanh(x / transform.softcap);
    z = t * transform.softcap;
    s.dz_dx = (1.0 - t * t) / transform.temperature;
  }
  z = z / transform.temperature;
  s.lse = at::logsumexp(z, 1, /*keepdim=*/true);
  s.log_p = z - s.lse;
  s.p = s.log_p.exp();
  return s;
}

Tensor hits_of(const Tensor& tokens, std::int64_t vocab) {
  return at::zeros({tokens.size(0), vocab}, tokens.options().dtype(at::kDouble))
      .scatter_(1, tokens.unsqueeze(1), 1.0);
}

/// Rows of Σ_v c_v·(lse − z_v) + z_loss·lse², times `weight` [R, 1].
ChunkOfLoss weighted_rows(const Tensor& x, const Tensor& c, const Tensor& weight,
                          const CrossEntropy& options) {
  const Softmax s = softmax_of(x, options.transform);
  const Tensor rows = -(c * s.log_p).sum(1, true) + options.z_loss * s.lse.square();
  const Tensor dz = s.p * (c.sum(1, true) + 2.0 * options.z_loss * s.lse) - c;
  return {(rows * weight).sum(), dz * s.dz_dx * weight};
}

Tensor class_weights(const CrossEntropy& options, const Tensor& like, std::int64_t vocab) {
  return options.class_weight.defined() ? options.class_weight.to(at::kDouble)
                                        : at::ones({vocab}, like.options().dtype(at::kDouble));
}

}  // namespace

Formula cross_entropy_formula(const Tensor& labels, const CrossEntropy& options) {
  const Tensor counts = labels != options.ignore_index;
  const Tensor safe = at::where(counts, labels, at::zeros_like(labels));
  Tensor total = counts.to(at::kDouble).sum();
  if (options.class_weight.defined())
    total = (options.class_weight.to(at::kDouble).index_select(0, safe) * counts).sum();
  return [=](const Tensor& x, std::int64_t begin) {
    const std::int64_t rows = x.size(0), vocab = x.size(1);
    const Tensor w = class_weights(options, x, vocab);
    const Tensor hit = hits_of(safe.narrow(0, begin, rows), vocab);
    const Tensor c =
        w * (hit * (1.0 - options.label_smoothing) + options.label_smoothing / static_cast<double>(vocab));
    const Tensor weight =
        at::where(counts.narrow(0, begin, rows).unsqueeze(1), 1.0 / total.clamp_min(1e-300), 0.0);
    return weighted_rows(x, c, weight, options);
  };
}

Formula cross_entropy_soft_formula(const Tensor& targets, const CrossEntropy& options) {
  return [=](const Tensor& x, std::int64_t begin) {
    const std::int64_t rows = x.size(0), vocab = x.size(1);
    const Tensor t = targets.narrow(0, begin, rows).to(at::kDouble);
    const Tensor c =
        class_weights(options, x, vocab) *
        (t * (1.0 - options.label_smoothing) + options.label_smoothing / static_cast<double>(vocab));
    const Tensor weight = at::ones({rows, 1}, x.options()) / static_cast<double>(targets.size(0));
    return weighted_rows(x, c, weight, options);
  };
}

Formula token_statistics_formula(const Tensor& tokens, const Transform& transform, const Tensor& upstream) {
  return [=](const Tensor& x, std::int64_t begin) {
    const std::int64_t rows = x.size(0);
    const Tensor t = tokens.narrow(0, begin, rows), g = upstream.narrow(0, begin, rows).to(at::kDouble);
    const Tensor counts = (t >= 0).unsqueeze(1);
    const Softmax s = softmax_of(x, transform);
    const Tensor hit = hits_of(t.clamp_min(0), x.size(1));
    const Tensor entropy = -(s.p * s.log_p).sum(1, true);
    const auto column = [&](std::int64_t i) { return at::where(counts, g.narrow(1, i, 1), 0.0); };
    const Tensor logp = (hit * s.log_p).sum(1, true);
    const Tensor dz = column(0) * (hit - s.p) - column(1) * s.p * (s.log_p + entropy) + column(2) * s.p;
    return ChunkOfLoss{(column(0) * logp + column(1) * entropy + column(2) * s.lse).sum(), dz * s.dz_dx};
  };
}

Formula mean_squared_error_formula(const Tensor& targets) {
  const double count = static_cast<double>(targets.numel());
  return [=](const Tensor& x, std::int64_t begin) {
    const Tensor difference = x - targets.narrow(0, begin, x.size(0)).to(at::kDouble);
    return ChunkOfLoss{difference.square().sum() / count, difference * (2.0 / count)};
  };
}

Formula distillation_formula(const Teacher& teacher, double temperature, double beta) {
  const Head head{teacher.head.weight.to(at::kDouble), {}, {}, {}, 1.0};
  const double scale = temperature * temperature / static_cast<double>(teacher.hidden.size(0));
  return [=](const Tensor& x, std::int64_t begin) {
    const Transform transform{.softcap = 0.0, .temperature = temperature};
    const Softmax p = softmax_of(x, transform);
    const Softmax q =
        softmax_of(logits(teacher.hidden.narrow(0, begin, x.size(0)).to(at::kDouble), head), transform);
    Tensor value, dp;
    if (beta == 0.0) {
      value = q.p * (q.log_p - p.log_p), dp = -q.p / p.p;
    } else if (beta == 1.0) {
      value = p.p * (p.log_p - q.log_p), dp = p.log_p - q.log_p;
    } else {
      const Tensor log_m = (q.p * beta + p.p * (1.0 - beta)).log();
      value = q.p * (q.log_p - log_m) * beta + p.p * (p.log_p - log_m) * (1.0 - beta);
      dp = (p.log_p - log_m) * (1.0 - beta);
    }
    const Tensor dz = p.p * (dp - (p.p * dp).sum(1, true));
    return ChunkOfLoss{value.sum() * scale, dz * p.dz_dx * scale};
  };
}

}  // namespace assay::reference::backprop::eager
