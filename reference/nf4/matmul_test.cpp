// SPDX-License-Identifier: Apache-2.0
#include "reference/nf4/matmul.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include "reference/nf4/rounding.hpp"
#include "reference/nf4/table.hpp"

namespace assay::reference::nf4 {
namespace {

/// Nested weights and a left operand that own their memory.
struct Sample {
  std::vector<std::uint8_t> packed, codes;
  std::vector<float> nested_absmax, nested_code;
  float offset = 0.0625f;
  std::vector<std::uint16_t> left, bias;
  Product product;

  Sample(std::int64_t m, std::int64_t n, std::int64_t k, Direction direction, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const std::int64_t blocks = (n * k + 63) / 64;
    packed.resize(static_cast<std::size_t>(n * k + 1) / 2);
    codes.resize(static_cast<std::size_t>(blocks));
    nested_absmax.assign(static_cast<std::size_t>(blocks + 255) / 256, 0.01f);
    nested_code.resize(256);
    for (auto& x : packed) x = static_cast<std::uint8_t>(random());
    for (auto& x : codes) x = static_cast<std::uint8_t>(random());
    for (auto& x : nested_code) x = normal(random);
    left.resize(static_cast<std::size_t>(m * (direction == Direction::kForward ? k : n)));
    for (auto& x : left) x = to_bf16(normal(random));
    bias.resize(static_cast<std::size_t>(n));
    for (auto& x : bias) x = to_bf16(normal(random));
    product.weights = {.packed = packed.data(),
                       .count = n * k,
                       .absmax_codes = codes.data(),
                       .nested_absmax = nested_absmax.data(),
                       .nested_code = nested_code.data(),
                       .nested_offset = &offset};
    product.m = m, product.n = n, product.k = k;
    product.direction = direction;
    product.left = left.data();
  }
  std::vector<double> truth_of(std::int64_t begin, std::int64_t end) const {
    std::vector<double> out(static_cast<std::size_t>(product.m * (end - begin)));
    truth(product, begin, end, out);
    return out;
  }
  double weight(std::int64_t row, std::int64_t column) const {
    double w = 0;
    truth(product.weights, row * product.k + column, std::span(&w, 1));
    return w;
  }
  double left_at(std::size_t i) const { return static_cast<double>(from_bf16(left[i])); }
};

TEST(ProductTruth, one_row_of_two_weights_by_hand) {
  const std::uint8_t packed[] = {0x0f, 0xf0};  // W = [[-1, 1], [1, -1]] · 2
  const float absmax[] = {2.0f};
  const std::uint16_t x[] = {to_bf16(3.0f), to_bf16(0.5f)}, bias[] = {to_bf16(10.0f), to_bf16(20.0f)};
  Product p{.weights = {.packed = packed, .count = 4, .absmax = absmax}, .m = 1, .n = 2, .k = 2};
  p.left = x, p.bias = bias;
  std::vector<double> y(2);
  truth(p, 0, 2, y);
  EXPECT_EQ(y, (std::vector<double>{5.0, 25.0}));
  p.direction = Direction::kBackward, p.bias = nullptr;
  truth(p, 0, 2, y);
  EXPECT_EQ(y, (std::vector<double>{-5.0, 5.0}));
}

TEST(ProductTruth, is_the_formula_in_both_directions) {
  const Sample forward(3, 7, 33, Direction::kForward, 1), backward(3, 7, 33, Direction::kBackward, 2);
  const auto y = forward.truth_of(0, 7), dx = backward.truth_of(0, 33);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t r = 0; r < 7; ++r) {
      double sum = 0;
      for (std::size_t c = 0; c < 33; ++c)
        sum += forward.left_at(i * 33 + c) *
               forward.weight(static_cast<std::int64_t>(r), static_cast<std::int64_t>(c));
      EXPECT_DOUBLE_EQ(y[i * 7 + r], sum);
    }
    for (std::size_t c = 0; c < 33; ++c) {
      double sum = 0;
      for (std::size_t r = 0; r < 7; ++r)
        sum += backward.left_at(i * 7 + r) *
               backward.weight(static_cast<std::int64_t>(r), static_cast<std::int64_t>(c));
      EXPECT_DOUBLE_EQ(dx[i * 33 + c], sum);
    }
  }
}

TEST(ProductTruth, any_columns_equal_that_part_of_the_whole) {
  for (const Direction direction : {Direction::kForward, Direction::kBackward}) {
    const Sample sample(2, 40, 70, direction, 3);
    const std::int64_t columns = sample.product.columns();
    const auto whole = sample.truth_of(0, columns), part = sample.truth_of(5, 29);
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t c = 0; c < 24; ++c)
        EXPECT_EQ(part[i * 24 + c], whole[i * static_cast<std::size_t>(columns) + 5 + c]);
  }
}

TEST(ProductTruth, columns_outside_missing_weights_and_a_gradients_bias_are_refused) {
  Sample sample(2, 8, 16, Direction::kForward, 4);
  EXPECT_THROW(sample.truth_of(0, 9), std::invalid_argument);
  std::vector<double> little(1);
  EXPECT_THROW(truth(sample.product, 0, 8, little), std::invalid_argument);
  sample.product.direction = Direction::kBackward, sample.product.bias = sample.bias.data();
  EXPECT_THROW(sample.truth_of(0, 1), std::invalid_argument);
  sample.product.bias = nullptr, sample.product.n = 7;
  EXPECT_THROW(sample.truth_of(0, 1), std::invalid_argument);
}

TEST(DequantizeThenMultiply, is_as_far_from_truth_as_16_bits_are) {
  for (const Direction direction : {Direction::kForward, Direction::kBackward}) {
    Sample sample(4, 64, 256, direction, 5);
    if (direction == Direction::kForward)
      sample.product.bias = sample.bias.data();
    const std::int64_t columns = sample.product.columns();
    const auto expected = sample.truth_of(0, columns);
    std::vector<std::uint16_t> out(expected.size());
    dequantize_then_multiply(sample.product, 0, columns, out.data());
    double squares = 0, errors = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const double off = static_cast<double>(from_bf16(out[i])) - expected[i];
      squares += expected[i] * expected[i], errors += off * off;
    }
    const double relative = std::sqrt(errors / squares);
    EXPECT_LT(relative, 0x1p-8);
    EXPECT_GT(relative, 0x1p-11);
  }
}

TEST(DequantizeThenMultiply, f32_leaves_only_the_error_of_sums) {
  std::vector<float> x(128, 1.5f);
  const Sample sample(1, 4, 128, Direction::kForward, 6);
  Product p = sample.product;
  p.type = Scalar::kFloat32, p.left = x.data();
  std::vector<double> expected(4);
  truth(p, 0, 4, expected);
  float out[4];
  dequantize_then_multiply(p, 0, 4, out);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(out[i], expected[i], 1e-4);
}

}  // namespace
}  // namespace assay::reference::nf4
