// SPDX-License-Identifier: Apache-2.0
// Losses of token log-probabilities, as trainers of policies and preferences write them.
#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/log1p.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/where.h>

#include "reference/backprop/eager/losses.hpp"

namespace assay::reference::backprop::eager {
namespace {

using at::Tensor;

Tensor sums(const Tensor& logp, const Tensor& mask) {
  return (logp * mask).sum(1);
}
Tensor averages(const Tensor& logp, const Tensor& mask) {
  return sums(logp, mask) / mask.sum(1).clamp_min(1);
}

struct Pairs {
  Tensor chosen, rejected;
};
Pairs halves(const Tensor& t) {
  const std::int64_t pairs = t.size(0) / 2;
  return {t.narrow(0, 0, pairs), t.narrow(0, pairs, pairs)};
}

Tensor smoothed_logistic(const Tensor& margin, double epsilon) {
  return (-(1.0 - epsilon) * at::log_sigmoid(margin) - epsilon * at::log_sigmoid(-margin)).mean();
}

}  // namespace

Tensor grpo(const Tensor& logp, const Tensor& mask, const Tensor& advantages, const Tensor& old_logp,
            const Tensor& reference_logp, const Grpo& options) {
  const Tensor ratio = at::exp(logp - (old_logp.defined() ? old_logp : logp.detach()));
  const Tensor bounded = options.delta > 0 ? at::clamp_max(ratio, options.delta) : ratio;
  const Tensor clipped = at::clamp(ratio, 1.0 - options.clip_low, 1.0 + options.clip_high);
  const Tensor a = advantages.unsqueeze(1);
  Tensor token = -at::minimum(bounded * a, clipped * a);
  if (reference_logp.defined()) {
    const Tensor d = reference_logp - logp;
    token = token + options.kl_coefficient * (at::exp(d) - d - 1.0);
  }
  const Tensor masked = at::where(mask, token, 0.0);
  switch (options.normalization) {
    case Normalization::kToken:
      return masked.sum() / mask.sum().clamp_min(1);
    case Normalization::kSequence:
      return (masked.sum(1) / mask.sum(1).clamp_min(1)).mean();
    case Normalization::kDrGrpo:
      break;
  }
  const std::int64_t length = options.max_length > 0 ? options.max_length : logp.size(1);
  return masked.sum() / static_cast<double>(logp.size(0) * length);
}

Tensor dpo(const Tensor& logp, const Tensor& mask, const Tensor& reference_logp, double beta,
           double label_smoothing) {
  const auto [chosen, rejected] = halves(sums(logp, mask) - reference_logp);
  return smoothed_logistic(beta * (chosen - rejected), label_smoothing);
}

Tensor simpo(const Tensor& logp, const Tensor& mask, double beta, double gamma_beta_ratio,
             double label_smoothing) {
  const auto [chosen, rejected] = halves(averages(logp, mask));
  return smoothed_logistic(beta * (chosen - rejected) - gamma_beta_ratio * beta, label_smoothing);
}

Tensor orpo(const Tensor& logp, const Tensor& mask, double lambda) {
  const auto [c, r] = halves(averages(logp, mask));
  const Tensor log_odds = (c - r) - (at::log1p(-at::exp(c)) - at::log1p(-at::exp(r)));
  const Tensor nll =
      -sums(halves(logp).chosen, halves(mask).chosen).sum() / halves(mask).chosen.sum().clamp_min(1);
  return nll - lambda * at::log_sigmoid(log_odds).mean();
}

Tensor kto(const Tensor& logp, const Tensor& mask, const Tensor& desirable, const Tensor& reference_logp,
           const Tensor& kl, double beta, double desirable_weight, double undesirable_weight) {
  const Tensor log_ratio = sums(logp, mask) - reference_logp - kl;
  return at::where(desirable, desirable_weight * (1.0 - at::sigmoid(beta * log_ratio)),
                   undesirable_weight * (1.0 - at::sigmoid(-beta * log_ratio)))
      .mean();
}

}  // namespace assay::reference::backprop::eager
