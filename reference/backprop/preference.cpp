// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/preference.hpp"

#include <algorithm>
#include <cmath>

namespace assay::reference::backprop {
namespace {

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}
double log_sigmoid(double x) {
  return std::min(x, 0.0) - std::log1p(std::exp(-std::fabs(x)));
}

double tokens_of(const Sequences& s, std::int64_t b) {
  const auto begin = s.mask.begin() + b * s.length;
  return std::max(static_cast<double>(std::count(begin, begin + s.length, true)), 1.0);
}

std::vector<double> sums_of(const std::vector<double>& logp, const Sequences& s) {
  std::vector<double> sums(static_cast<std::size_t>(s.count), 0.0);
  for (std::int64_t i = 0; i < s.count * s.length; ++i) {
    if (s.mask[i])
      sums[i / s.length] += logp[i];
  }
  return sums;
}

std::vector<double> averages_of(const std::vector<double>& logp, const Sequences& s) {
  std::vector<double> averages = sums_of(logp, s);
  for (std::int64_t b = 0; b < s.count; ++b) averages[b] /= tokens_of(s, b);
  return averages;
}

/// From derivatives with respect to each sequence's sum to those of its tokens.
TokenLoss spread(double value, const std::vector<double>& dsum, const Sequences& s) {
  TokenLoss loss{value, std::vector<double>(static_cast<std::size_t>(s.count * s.length), 0.0)};
  for (std::int64_t i = 0; i < s.count * s.length; ++i) {
    if (s.mask[i])
      loss.dlogp[i] = dsum[i / s.length];
  }
  return loss;
}

struct Margin {
  double value = 0.0, slope = 0.0;
};

/// −(1−ε)·logσ(m) − ε·logσ(−m) and its derivative in m.
Margin smoothed_logistic(double m, double epsilon) {
  return {-(1.0 - epsilon) * log_sigmoid(m) - epsilon * log_sigmoid(-m), sigmoid(m) - (1.0 - epsilon)};
}

}  // namespace

TokenLoss dpo(const std::vector<double>& logp, const Sequences& s, const std::vector<double>& reference_logp,
              double beta, double label_smoothing) {
  const std::vector<double> sum = sums_of(logp, s);
  const std::int64_t pairs = s.count / 2;
  std::vector<double> dsum(sum.size(), 0.0);
  double value = 0.0;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int64_t j = pairs + i;
    const double m = beta * ((sum[i] - reference_logp[i]) - (sum[j] - reference_logp[j]));
    const Margin margin = smoothed_logistic(m, label_smoothing);
    value += margin.value / static_cast<double>(pairs);
    dsum[i] = beta * margin.slope / static_cast<double>(pairs);
    dsum[j] = -dsum[i];
  }
  return spread(value, dsum, s);
}

TokenLoss simpo(const std::vector<double>& logp, const Sequences& s, double beta, double gamma_beta_ratio,
                double label_smoothing) {
  const std::vector<double> average = averages_of(logp, s);
  const std::int64_t pairs = s.count / 2;
  std::vector<double> dsum(average.size(), 0.0);
  double value = 0.0;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int64_t j = pairs + i;
    const Margin margin =
        smoothed_logistic(beta * (average[i] - average[j]) - gamma_beta_ratio * beta, label_smoothing);
    value += margin.value / static_cast<double>(pairs);
    dsum[i] = beta * margin.slope / (static_cast<double>(pairs) * tokens_of(s, i));
    dsum[j] = -beta * margin.slope / (static_cast<double>(pairs) * tokens_of(s, j));
  }
  return spread(value, dsum, s);
}

TokenLoss orpo(const std::vector<double>& logp, const Sequences& s, double lambda) {
  const std::vector<double> average = averages_of(logp, s), sum = sums_of(logp, s);
  const std::int64_t pairs = s.count / 2;
  double chosen_tokens = 0.0;
  for (std::int64_t i = 0; i < pairs * s.length; ++i) chosen_tokens += s.mask[i] ? 1.0 : 0.0;
  chosen_tokens = std::max(chosen_tokens, 1.0);
  std::vector<double> dsum(average.size(), 0.0);
  double value = 0.0;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int64_t j = pairs + i;
    const double c = average[i], r = average[j];
    const double log_odds = (c - r) - (std::log1p(-std::exp(c)) - std::log1p(-std::exp(r)));
    const double slope = -lambda * sigmoid(-log_odds) / static_cast<double>(pairs);
    value += -sum[i] / chosen_tokens - lambda * log_sigmoid(log_odds) / static_cast<double>(pairs);
    // d(c − log(1 − eᶜ))/dc = 1 + eᶜ / (1 − eᶜ) = 1 / (1 − eᶜ)
    dsum[i] = -1.0 / chosen_tokens + slope / (1.0 - std::exp(c)) / tokens_of(s, i);
    dsum[j] = -slope / (1.0 - std::exp(r)) / tokens_of(s, j);
  }
  return spread(value, dsum, s);
}

TokenLoss kto(const std::vector<double>& logp, const Sequences& s, const std::vector<bool>& desirable,
              const std::vector<double>& reference_logp, double kl, const Kto& options) {
  const std::vector<double> sum = sums_of(logp, s);
  std::vector<double> dsum(sum.size(), 0.0);
  const auto count = static_cast<double>(s.count);
  double value = 0.0;
  for (std::int64_t b = 0; b < s.count; ++b) {
    const double sign = desirable[b] ? 1.0 : -1.0;
    const double weight = desirable[b] ? options.desirable_weight : options.undesirable_weight;
    const double sigma = sigmoid(sign * options.beta * (sum[b] - reference_logp[b] - kl));
    value += weight * (1.0 - sigma) / count;
    dsum[b] = -weight * sigma * (1.0 - sigma) * sign * options.beta / count;
  }
  return spread(value, dsum, s);
}

}  // namespace assay::reference::backprop
