// SPDX-License-Identifier: Apache-2.0
// Values that a pencil gives: two classes with logits 0 and log 3, so p = (1/4, 3/4).
#include <gtest/gtest.h>

#include <cmath>

#include "reference/backprop/cross_entropy.hpp"
#include "reference/backprop/distillation.hpp"
#include "reference/backprop/grpo.hpp"
#include "reference/backprop/preference.hpp"

namespace assay::reference::backprop {
namespace {

const double kLog3 = std::log(3.0), kLog4 = std::log(4.0);

Matrix matrix(std::int64_t rows, std::int64_t cols, std::vector<double> values) {
  Matrix m(rows, cols);
  m.values = std::move(values);
  return m;
}

Matrix quarter() {
  return matrix(1, 2, {0.0, kLog3});
}

TEST(BackpropLosses, logits_and_gradients_of_a_layer_with_bias_and_adapter) {
  const Matrix hidden = matrix(1, 2, {2.0, 3.0});
  const Head head{matrix(1, 2, {5.0, 7.0}), {11.0}, matrix(1, 2, {1.0, -1.0}), matrix(1, 1, {4.0}), 0.5};
  EXPECT_DOUBLE_EQ(logits_of(hidden, head).values[0], 10 + 21 + 11 + 0.5 * (2 - 3) * 4);
  const Gradients g = backward(hidden, head, matrix(1, 1, {10.0}), 2.0);
  EXPECT_EQ(g.weight.values, (std::vector<double>{40, 60}));
  EXPECT_EQ(g.bias, (std::vector<double>{20}));
  EXPECT_EQ(g.lora_b.values, (std::vector<double>{-10}));
  EXPECT_EQ(g.lora_a.values, (std::vector<double>{80, 120}));
  EXPECT_EQ(g.hidden.values, (std::vector<double>{100 + 40, 140 - 40}));
}

TEST(BackpropLosses, cross_entropy_by_hand) {
  const Loss loss = cross_entropy(quarter(), {0}, {});
  EXPECT_NEAR(loss.value, kLog4, 1e-15);
  EXPECT_NEAR(loss.dlogits.values[0], -0.75, 1e-15);
  EXPECT_NEAR(loss.dlogits.values[1], 0.75, 1e-15);
  EXPECT_NEAR(cross_entropy(quarter(), {0}, {.label_smoothing = 0.2}).value,
              0.9 * kLog4 + 0.1 * (kLog4 - kLog3), 1e-15);
  EXPECT_NEAR(cross_entropy(quarter(), {1}, {.z_loss = 0.5}).value, kLog4 - kLog3 + 0.5 * kLog4 * kLog4,
              1e-15);
  EXPECT_NEAR(cross_entropy_soft(quarter(), matrix(1, 2, {0.5, 0.5}), {}).value, kLog4 - 0.5 * kLog3, 1e-15);
}

TEST(BackpropLosses, ignored_rows_leave_the_mean_and_class_weights_are_its_divisor) {
  const Matrix x = matrix(3, 2, {0, kLog3, 5, -5, 0, kLog3});
  const Loss loss = cross_entropy(x, {0, -100, 1}, {.class_weight = {1.0, 3.0}});
  EXPECT_NEAR(loss.value, (kLog4 + 3.0 * (kLog4 - kLog3)) / 4.0, 1e-15);
  EXPECT_EQ(loss.dlogits.values[2], 0.0);
  const Loss none = cross_entropy(x, {-100, -100, -100}, {});
  EXPECT_EQ(none.value, 0.0);
  EXPECT_EQ(none.dlogits.values, std::vector<double>(6, 0.0));
  EXPECT_THROW(cross_entropy(x, {0, 2, 1}, {}), std::invalid_argument);
}

TEST(BackpropLosses, transform_caps_then_divides) {
  const Softmax row = softmax_of(std::vector<double>{1e6, 0.0}, {.softcap = 2.0, .temperature = 4.0});
  EXPECT_DOUBLE_EQ(row.z[0], 0.5);
  EXPECT_DOUBLE_EQ(row.dz_dx[0], 0.0);
  EXPECT_DOUBLE_EQ(row.dz_dx[1], 0.25);
}

TEST(BackpropLosses, token_statistics_by_hand) {
  const Matrix s = token_statistics(quarter(), {1}, {});
  EXPECT_NEAR(s.values[0], kLog3 - kLog4, 1e-15);
  EXPECT_NEAR(s.values[1], 0.25 * kLog4 + 0.75 * (kLog4 - kLog3), 1e-15);
  EXPECT_NEAR(s.values[2], kLog4, 1e-15);
  EXPECT_EQ(token_statistics(quarter(), {-100}, {}).values, std::vector<double>(3, 0.0));
}

TEST(BackpropLosses, divergences_of_a_quarter_and_a_half) {
  const Matrix half = matrix(1, 2, {0, 0});
  const double forward = 0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3.0);  // KL(half‖quarter)
  const double reverse = 0.25 * std::log(0.5) + 0.75 * std::log(1.5);      // KL(quarter‖half)
  EXPECT_NEAR(distillation(quarter(), half, 1.0, 0.0).value, forward, 1e-15);
  EXPECT_NEAR(distillation(quarter(), half, 1.0, 1.0).value, reverse, 1e-15);
  const auto kl_to_m = [](double a, double m) {
    return a * std::log(a / m) + (1 - a) * std::log((1 - a) / (1 - m));
  };
  EXPECT_NEAR(distillation(quarter(), half, 1.0, 0.5).value,
              0.5 * kl_to_m(0.5, 0.375) + 0.5 * kl_to_m(0.25, 0.375), 1e-15);
  EXPECT_NEAR(mean_squared_error(quarter(), half).value, kLog3 * kLog3 / 2, 1e-15);
}

TEST(BackpropLosses, grpo_clips_each_side_and_adds_the_reference) {
  const GrpoBatch up{.sequences = 1,
                     .length = 1,
                     .mask = {true},
                     .advantages = {2.0},
                     .old_logp = {-kLog3},
                     .reference_logp = {-kLog3}};
  const Grpo options{.kl_coefficient = 0.5};  // new 0, so the ratio is 3
  EXPECT_NEAR(grpo({0.0}, up, options).value, -1.2 * 2.0 + 0.5 * (1.0 / 3.0 + kLog3 - 1.0), 1e-15);
  EXPECT_NEAR(grpo({0.0}, up, options).dlogp[0], 0.5 * (1.0 - 1.0 / 3.0), 1e-15);
  GrpoBatch down = up;
  down.advantages = {-2.0}, down.reference_logp = {};
  EXPECT_NEAR(grpo({0.0}, down, options).value, 6.0, 1e-14) << "a bad token is not saved by the clip";
  EXPECT_NEAR(grpo({0.0}, down, {.delta = 2.0}).value, 4.0, 1e-14) << "but by the upper bound";
  EXPECT_EQ(grpo({0.0}, down, {.delta = 2.0}).dlogp[0], 0.0);
}

TEST(BackpropLosses, preference_losses_by_hand) {
  const Sequences pair{.count = 2, .length = 1, .mask = {true, true}};
  const std::vector<double> logp = {-kLog4, -std::log(2.0)};
  const double margin = std::log(2.0) - kLog4;
  EXPECT_NEAR(dpo(logp, pair, {0, 0}, 1.0, 0.0).value, std::log1p(std::exp(-margin)), 1e-15);
  EXPECT_NEAR(simpo(logp, pair, 2.0, 0.5, 0.0).value, std::log1p(std::exp(-(2 * margin - 1.0))), 1e-15);
  EXPECT_NEAR(orpo(logp, pair, 0.5).value, kLog4 + 0.5 * std::log1p(3.0), 1e-15) << "odds 1/3 against 1";
  EXPECT_NEAR(kto(logp, pair, {true, false}, {0, 0}, 0.0, {.beta = 1.0}).value,
              0.5 * (1 - 1 / (1 + 4.0)) + 0.5 * (1 - 1 / (1 + 0.5)), 1e-15);
}

}  // namespace
}  // namespace assay::reference::backprop
