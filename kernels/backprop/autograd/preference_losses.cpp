// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/preference_losses.hpp"

#include <ATen/ops/log1p.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <c10/util/Exception.h>

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

/// Log-probabilities [B, T], 0 where masked.
Tensor masked_logp(const Tensor& hidden, const LinearHead& head, const Tensor& tokens, const Tensor& mask,
                   MemoryEfficientOptions options) {
  TORCH_CHECK_VALUE(hidden.dim() == 3, "expected hidden states [B, T, H], found ", hidden.sizes());
  TORCH_CHECK_VALUE(mask.scalar_type() == at::kBool && mask.sizes() == hidden.sizes().slice(0, 2),
                    "expected mask as bool ", hidden.sizes().slice(0, 2), ", found ", mask.scalar_type(), " ",
                    mask.sizes());
  return linear_token_logprob(hidden, head, tokens.masked_fill(mask.logical_not(), -1), {},
                              std::move(options));
}

Tensor lengths(const Tensor& mask, const Tensor& like) {
  return at::sum(mask.to(like.scalar_type()), 1).clamp_min(1.0);
}

/// Per-sequence values [2P] of pairs.
struct Pairs {
  Tensor chosen, rejected;
  explicit Pairs(const Tensor& values) {
    TORCH_CHECK_VALUE(values.size(0) % 2 == 0 && values.size(0) > 0,
                      "expected pairs, the first half chosen and the second rejected, found ", values.size(0),
                      " sequences");
    const std::int64_t pairs = values.size(0) / 2;
    chosen = values.narrow(0, 0, pairs);
    rejected = values.narrow(0, pairs, pairs);
  }
};

/// mean of −(1−ε)·logσ(x) − ε·logσ(−x).
Tensor smoothed_log_loss(const Tensor& margin, double smoothing) {
  const Tensor loss = at::log_sigmoid(margin).mul(1.0 - smoothing);
  return (smoothing == 0.0 ? loss : loss.add(at::log_sigmoid(margin.neg()), smoothing)).mean().neg();
}

/// log(p / (1 − p)) of p = exp(logp), logp < 0.
Tensor log_odds(const Tensor& logp) {
  return logp.sub(at::log1p(logp.exp().neg()));
}

}  // namespace

Tensor linear_dpo(const Tensor& hidden, const LinearHead& head, const PreferenceRows& rows,
                  const Tensor& reference_logp, const DpoOptions& loss, MemoryEfficientOptions options) {
  const Tensor logp = at::sum(masked_logp(hidden, head, rows.tokens, rows.mask, std::move(options)), 1);
  TORCH_CHECK_VALUE(reference_logp.sizes() == logp.sizes(), "expected reference log-probabilities ",
                    logp.sizes(), ", summed over tokens, found ", reference_logp.sizes());
  const Pairs gain(logp.sub(reference_logp));
  return smoothed_log_loss(gain.chosen.sub(gain.rejected).mul(loss.beta), loss.label_smoothing);
}

Tensor linear_orpo(const Tensor& hidden, const LinearHead& head, const PreferenceRows& rows,
                   const OrpoOptions& loss, MemoryEfficientOptions options) {
  const Tensor logp = masked_logp(hidden, head, rows.tokens, rows.mask, std::move(options));
  const Pairs total(at::sum(logp, 1));
  const Pairs tokens(lengths(rows.mask, logp));
  const Tensor nll = at::sum(total.chosen).div(at::sum(tokens.chosen)).neg();
  const Tensor odds =
      log_odds(total.chosen.div(tokens.chosen)).sub(log_odds(total.rejected.div(tokens.rejected)));
  return nll.add(smoothed_log_loss(odds, 0.0), loss.lambda);
}

Tensor linear_simpo(const Tensor& hidden, const LinearHead& head, const PreferenceRows& rows,
                    const SimpoOptions& loss, MemoryEfficientOptions options) {
  const Tensor logp = masked_logp(hidden, head, rows.tokens, rows.mask, std::move(options));
  const Pairs mean(at::sum(logp, 1).div(lengths(rows.mask, logp)));
  const Tensor margin = mean.chosen.sub(mean.rejected).sub(loss.gamma_beta_ratio);
  return smoothed_log_loss(margin.mul(loss.beta), loss.label_smoothing);
}

Tensor linear_kto(const Tensor& hidden, const LinearHead& head, const KtoRows& rows, const KtoOptions& loss,
                  MemoryEfficientOptions options) {
  const Tensor logp = at::sum(masked_logp(hidden, head, rows.tokens, rows.mask, std::move(options)), 1);
  for (const Tensor* t : {&rows.desirable, &rows.reference_logp}) {
    TORCH_CHECK_VALUE(t->sizes() == logp.sizes(), "expected one entry for each of ", logp.size(0),
                      " sequences, found ", t->sizes());
  }
  const Tensor gain = logp.sub(rows.reference_logp).sub(rows.kl.detach()).mul(loss.beta);
  // 1 − σ(x) = σ(−x)
  const Tensor desirable = at::sigmoid(gain.neg()).mul(loss.desirable_weight);
  const Tensor undesirable = at::sigmoid(gain).mul(loss.undesirable_weight);
  return at::where(rows.desirable, desirable, undesirable).mean();
}

}  // namespace assay::kernels::backprop
