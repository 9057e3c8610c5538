// SPDX-License-Identifier: Apache-2.0
// The oracle against central differences of its own forward, and against values computed by hand.
#include "reference/attention/attention.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace assay::reference::attention {
namespace {

struct Problem {
  Shape shape;
  Mods mods;
  std::vector<double> q, k, v, d_o, d_lse;
  std::vector<std::vector<double>> parameters;

  double loss() const {
    const Output out = forward(shape, mods, q, k, v);
    double sum = 0.0;
    for (std::size_t i = 0; i < out.o.size(); ++i) sum += out.o[i] * d_o[i];
    for (std::size_t i = 0; i < out.lse.size(); ++i)
      sum += std::isfinite(out.lse[i]) ? out.lse[i] * d_lse[i] : 0.0;
    return sum;
  }
};

std::vector<double> random_values(std::size_t size, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  std::vector<double> values(size);
  for (double& x : values) x = normal(random);
  return values;
}

/// Two packed sequences of 3 and 4 queries, 5 and 2 keys; 4 query heads on 2 key heads.
Problem random_problem() {
  std::mt19937_64 random(11);
  Problem p;
  p.shape = {{0, 3, 7}, {0, 5, 7}, 4, 2, 3, 0.7};
  p.q = random_values(p.shape.q_elements(), random);
  p.k = random_values(p.shape.kv_elements(), random);
  p.v = random_values(p.shape.kv_elements(), random);
  p.d_o = random_values(p.shape.q_elements(), random);
  p.d_lse = random_values(7 * 4, random);
  return p;
}

/// h = 1e-5 leaves about 1e-10 of rounding and truncation.
void expect_differences(Problem& p, std::vector<double>& values, const std::vector<double>& gradient) {
  constexpr double kStep = 1e-5;
  ASSERT_EQ(values.size(), gradient.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double kept = values[i];
    values[i] = kept + kStep;
    const double above = p.loss();
    values[i] = kept - kStep;
    const double below = p.loss();
    values[i] = kept;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-8) << "element " << i;
  }
}

void expect_gradients(Problem& p) {
  std::vector<std::int64_t> sizes;
  for (const auto& parameter : p.parameters) sizes.push_back(static_cast<std::int64_t>(parameter.size()));
  const Gradients g = backward(p.shape, p.mods, p.q, p.k, p.v, p.d_o, p.d_lse, sizes);
  expect_differences(p, p.q, g.q);
  expect_differences(p, p.k, g.k);
  expect_differences(p, p.v, g.v);
  for (std::size_t slot = 0; slot < p.parameters.size(); ++slot)
    expect_differences(p, p.parameters[slot], g.parameters[slot]);
}

TEST(Attention, plain_gradients_are_differences) {
  Problem p = random_problem();
  expect_gradients(p);
}

TEST(Attention, causal_softcap_gradients_are_differences) {
  Problem p = random_problem();
  p.mods.mask = [](int, int, int i, int j) { return j <= i; };
  p.mods.score = [](double x, int, int, int, int) {
    const double t = std::tanh(x / 1.5);
    return Score{1.5 * t, 1.0 - t * t, {}};
  };
  expect_gradients(p);
}

TEST(Attention, learnable_bias_and_slope_gradients_are_differences) {
  Problem p = random_problem();
  std::mt19937_64 random(3);
  p.parameters = {random_values(4 * 5, random), random_values(4, random)};
  p.mods.score = [&p](double x, int, int h, int i, int j) {
    const std::int64_t at = h * 5 + j;
    return Score{
        x + p.parameters[0][at] + p.parameters[1][h] * (j - i), 1.0, {{0, at, 1.0}, {1, h, double(j - i)}}};
  };
  expect_gradients(p);
}

TEST(Attention, queries_without_keys_give_zero_and_no_gradient) {
  Problem p = random_problem();
  p.mods.mask = [](int b, int h, int i, int) { return !(b == 1 && h == 2 && i == 1); };
  const Output out = forward(p.shape, p.mods, p.q, p.k, p.v);
  const std::size_t row = (3 + 1) * 4 + 2;
  EXPECT_EQ(out.lse[row], -INFINITY);
  for (int d = 0; d < 3; ++d) EXPECT_EQ(out.o[row * 3 + d], 0.0);
  expect_gradients(p);
}

TEST(Attention, one_key_gives_its_value_and_score) {
  const Shape shape{{0, 1}, {0, 1}, 2, 1, 2, 0.5};
  const std::vector<double> q = {1, 2, 3, 4}, k = {5, 6}, v = {-7, 8};
  const Output out = forward(shape, {}, q, k, v);
  EXPECT_EQ(out.o, (std::vector<double>{-7, 8, -7, 8}));
  EXPECT_DOUBLE_EQ(out.lse[0], 8.5);
  EXPECT_DOUBLE_EQ(out.lse[1], 19.5);
}

TEST(Attention, heads_of_a_group_share_keys) {
  const Shape shape{{0, 1}, {0, 2}, 4, 2, 1, 1.0};
  const std::vector<double> q = {0, 0, 0, 0}, k = {1, 1, 1, 1}, v = {1, 10, 3, 30};
  EXPECT_EQ(forward(shape, {}, q, k, v).o, (std::vector<double>{2, 2, 20, 20}));
}

}  // namespace
}  // namespace assay::reference::attention
