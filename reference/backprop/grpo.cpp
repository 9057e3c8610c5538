// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/grpo.hpp"

#include <algorithm>
#include <cmath>

namespace assay::reference::backprop {
namespace {

struct Token {
  double value = 0.0, dlogp = 0.0;
};

Token policy_term(double logp, double old_logp, double advantage, const Grpo& options) {
  const double r = std::exp(logp - old_logp);
  const double bounded = options.delta > 0 ? std::min(r, options.delta) : r;
  const double clipped = std::clamp(r, 1.0 - options.clip_low, 1.0 + options.clip_high);
  if (bounded * advantage <= clipped * advantage) {
    return {-bounded * advantage, bounded == r ? -r * advantage : 0.0};
  }
  return {-clipped * advantage, clipped == r ? -r * advantage : 0.0};
}

Token kl_term(double logp, double reference_logp, double coefficient) {
  const double d = reference_logp - logp;
  return {coefficient * (std::exp(d) - d - 1.0), coefficient * (1.0 - std::exp(d))};
}

/// What one token of sequence b weighs in the loss.
double weight_of(const GrpoBatch& batch, const Grpo& options, std::int64_t b) {
  const auto begin = batch.mask.begin() + b * batch.length;
  const auto own = static_cast<double>(std::count(begin, begin + batch.length, true));
  const auto all = static_cast<double>(std::count(batch.mask.begin(), batch.mask.end(), true));
  const auto sequences = static_cast<double>(batch.sequences);
  switch (options.normalization) {
    case Normalization::kToken:
      return 1.0 / std::max(all, 1.0);
    case Normalization::kSequence:
      return 1.0 / (sequences * std::max(own, 1.0));
    case Normalization::kDrGrpo:
      return 1.0 /
             (sequences * static_cast<double>(options.max_length > 0 ? options.max_length : batch.length));
  }
  return 0.0;
}

}  // namespace

TokenLoss grpo(const std::vector<double>& logp, const GrpoBatch& batch, const Grpo& options) {
  TokenLoss loss{0.0, std::vector<double>(logp.size(), 0.0)};
  for (std::int64_t b = 0; b < batch.sequences; ++b) {
    const double weight = weight_of(batch, options, b);
    for (std::int64_t i = b * batch.length; i < (b + 1) * batch.length; ++i) {
      if (!batch.mask[i])
        continue;
      const double old_logp = batch.old_logp.empty() ? logp[i] : batch.old_logp[i];
      const Token policy = policy_term(logp[i], old_logp, batch.advantages[b], options);
      const Token kl = batch.reference_logp.empty()
                           ? Token{}
                           : kl_term(logp[i], batch.reference_logp[i], options.kl_coefficient);
      loss.value += weight * (policy.value + kl.value);
      loss.dlogp[i] = weight * (policy.dlogp + kl.dlogp);
    }
  }
  return loss;
}

}  // namespace assay::reference::backprop
