// SPDX-License-Identifier: Apache-2.0
// Every loss's derivative against central differences of its value, through the whole chain: hidden states,
// weight, bias, adapters, times an upstream gradient.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "reference/backprop/cross_entropy.hpp"
#include "reference/backprop/distillation.hpp"
#include "reference/backprop/grpo.hpp"
#include "reference/backprop/preference.hpp"

namespace assay::reference::backprop {
namespace {

constexpr std::int64_t kRows = 8, kHidden = 3, kVocab = 5, kRank = 2;
constexpr double kUpstream = -1.75;

std::mt19937_64 generator(17);

double normal() {
  return std::normal_distribution<double>()(generator);
}

Matrix random_matrix(std::int64_t rows, std::int64_t cols) {
  Matrix m(rows, cols);
  for (double& value : m.values) value = normal();
  return m;
}

std::vector<double> random_vector(std::int64_t size) {
  return random_matrix(1, size).values;
}

Matrix random_distributions() {
  Matrix m = random_matrix(kRows, kVocab);
  for (std::int64_t n = 0; n < kRows; ++n) {
    double sum = 0.0;
    for (double& value : m.row(n)) sum += value = std::exp(value);
    for (double& value : m.row(n)) value /= sum;
  }
  return m;
}

Head random_head() {
  Head head{random_matrix(kVocab, kHidden), random_vector(kVocab), random_matrix(kRank, kHidden),
            random_matrix(kVocab, kRank), 0.7};
  return head;
}

const std::vector<std::int64_t> kLabels = {0, 4, -100, 2, 2, -100, 1, 3};
const std::vector<std::int64_t> kTokens = {0, 4, 1, 2, 2, 0, 1, 3};
const std::vector<bool> kMask = {true, true, false, true, true, true, true, false};

using LossOfLogits = std::function<Loss(const Matrix&)>;

/// Each entry of `values` against (f(x + h) − f(x − h)) / 2h; h = 1e-5 leaves about 1e-10 of rounding and
/// truncation.
void expect_derivative(const std::vector<double>& gradient, std::vector<double>& values,
                       const std::function<double()>& value, const char* what) {
  constexpr double kStep = 1e-5;
  ASSERT_EQ(gradient.size(), values.size()) << what;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double at = values[i];
    values[i] = at + kStep;
    const double above = value();
    values[i] = at - kStep;
    const double below = value();
    values[i] = at;
    EXPECT_NEAR(gradient[i], kUpstream * (above - below) / (2 * kStep), 2e-8) << what << " [" << i << "]";
  }
}

void expect_gradients(const LossOfLogits& loss) {
  generator.seed(5);
  Matrix hidden = random_matrix(kRows, kHidden);
  Head head = random_head();
  const Gradients g = backward(hidden, head, loss(logits_of(hidden, head)).dlogits, kUpstream);
  const auto value = [&] { return loss(logits_of(hidden, head)).value; };
  expect_derivative(g.hidden.values, hidden.values, value, "hidden");
  expect_derivative(g.weight.values, head.weight.values, value, "weight");
  expect_derivative(g.bias, head.bias, value, "bias");
  expect_derivative(g.lora_a.values, head.lora_a.values, value, "lora_a");
  expect_derivative(g.lora_b.values, head.lora_b.values, value, "lora_b");
  double largest = 0.0;
  for (const double each : g.weight.values) largest = std::max(largest, std::fabs(each));
  EXPECT_GT(largest, 1e-3) << "gradients of about zero would agree with anything";
}

TEST(BackpropGradient, cross_entropy_with_every_option) {
  const std::vector<double> weights = {0.5, 1.0, 2.0, 1.5, 0.25};
  for (const CrossEntropy& options :
       std::initializer_list<CrossEntropy>{{},
                                           {.label_smoothing = 0.1},
                                           {.z_loss = 0.01},
                                           {.transform = {.softcap = 1.5}},
                                           {.transform = {.temperature = 0.6}},
                                           {.class_weight = weights},
                                           {.transform = {.softcap = 2.0, .temperature = 1.3},
                                           .label_smoothing = 0.2,
                                           .z_loss = 0.05,
                                           .class_weight = weights}}) {
    expect_gradients([&](const Matrix& x) { return cross_entropy(x, kLabels, options); });
  }
}

TEST(BackpropGradient, cross_entropy_against_distributions) {
  const Matrix targets = random_distributions();
  const CrossEntropy options{.transform = {.softcap = 3.0, .temperature = 0.9},
                             .label_smoothing = 0.1,
                             .z_loss = 0.02,
                             .class_weight = {0.5, 1.0, 2.0, 1.5, 0.25}};
  expect_gradients([&](const Matrix& x) { return cross_entropy_soft(x, targets, {}); });
  expect_gradients([&](const Matrix& x) { return cross_entropy_soft(x, targets, options); });
}

TEST(BackpropGradient, token_statistics) {
  const Matrix upstream = random_matrix(kRows, 3);
  for (const Transform& transform :
       std::initializer_list<Transform>{{}, {.softcap = 1.5, .temperature = 0.7}}) {
    expect_gradients([&](const Matrix& x) {
      const Matrix statistics = token_statistics(x, kLabels, transform);
      double value = 0.0;
      for (std::size_t i = 0; i < upstream.values.size(); ++i)
        value += upstream.values[i] * statistics.values[i];
      return Loss{value, token_statistics_backward(x, kLabels, transform, upstream)};
    });
  }
}

TEST(BackpropGradient, squared_error_and_distillation) {
  const Matrix targets = random_matrix(kRows, kVocab);
  expect_gradients([&](const Matrix& x) { return mean_squared_error(x, targets); });
  for (const double beta : {0.0, 0.3, 0.5, 1.0}) {
    for (const double temperature : {1.0, 2.5}) {
      expect_gradients([&](const Matrix& x) { return distillation(x, targets, temperature, beta); });
    }
  }
}

LossOfLogits of_tokens(std::function<TokenLoss(const std::vector<double>&)> loss) {
  return [loss](const Matrix& x) { return through_logp(x, kTokens, {}, loss(token_logp(x, kTokens, {}))); };
}

TEST(BackpropGradient, grpo_in_every_normalization) {
  GrpoBatch batch{.sequences = 2,
                  .length = 4,
                  .mask = kMask,
                  .advantages = {1.3, -0.8},
                  .old_logp = {},
                  .reference_logp = {}};
  // Ratios around 1 on both sides of the clip and the upper bound.
  generator.seed(5);
  const Matrix hidden = random_matrix(kRows, kHidden);
  const std::vector<double> logp = token_logp(logits_of(hidden, random_head()), kTokens, {});
  const double offsets[] = {0.05, 0.5, 0.0, -0.6, -0.1, 0.9, -0.9, 0.1};
  for (std::size_t i = 0; i < logp.size(); ++i) {
    batch.old_logp.push_back(logp[i] + offsets[i]);
    batch.reference_logp.push_back(logp[i] - 0.7 * offsets[i]);
  }
  for (const Normalization normalization :
       {Normalization::kToken, Normalization::kSequence, Normalization::kDrGrpo}) {
    for (const double delta : {0.0, 1.5}) {
      const Grpo options{.clip_low = 0.2,
                         .clip_high = 0.28,
                         .delta = delta,
                         .kl_coefficient = 0.3,
                         .normalization = normalization,
                         .max_length = 16};
      expect_gradients(of_tokens([&](const auto& logp) { return grpo(logp, batch, options); }));
    }
  }
}

TEST(BackpropGradient, grpo_without_old_log_probabilities_is_the_policy_gradient) {
  const GrpoBatch batch{.sequences = 2,
                        .length = 4,
                        .mask = kMask,
                        .advantages = {1.3, -0.8},
                        .old_logp = {},
                        .reference_logp = {}};
  const TokenLoss loss = grpo(std::vector<double>(8, -1.0), batch, {});
  EXPECT_NEAR(loss.value, -(1.3 - 0.8) / 2, 1e-15);
  EXPECT_NEAR(loss.dlogp[0], -1.3 / 6, 1e-15);
  EXPECT_NEAR(loss.dlogp[4], 0.8 / 6, 1e-15);
  EXPECT_EQ(loss.dlogp[2], 0.0);
}

TEST(BackpropGradient, preference_losses) {
  const Sequences sequences{.count = 4, .length = 2, .mask = kMask};
  const std::vector<double> reference = {-2.0, -3.5, -1.0, -2.5};
  const std::vector<bool> desirable = {true, false, false, true};
  expect_gradients(of_tokens([&](const auto& p) { return dpo(p, sequences, reference, 0.3, 0.1); }));
  expect_gradients(of_tokens([&](const auto& p) { return simpo(p, sequences, 2.0, 0.5, 0.1); }));
  expect_gradients(of_tokens([&](const auto& p) { return orpo(p, sequences, 0.4); }));
  expect_gradients(of_tokens([&](const auto& p) {
    return kto(p, sequences, desirable, reference, 0.2,
               {.beta = 0.5, .desirable_weight = 1.2, .undesirable_weight = 0.7});
  }));
}

}  // namespace
}  // namespace assay::reference::backprop
