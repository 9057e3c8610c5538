// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/model.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "reference/llama/adapter.hpp"
#include "reference/llama/load.hpp"
#include "reference/llama/rope.hpp"
#include "reference/llama/tiny_config.hpp"

namespace assay::reference::llama {
namespace {

/// Meta's apply_scaling, in f64.
double scaled(double frequency, const RopeScaling& by) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const auto original = static_cast<double>(by.original_max_position_embeddings);
  if (wavelength < original / by.high_freq_factor)
    return frequency;
  if (wavelength > original / by.low_freq_factor)
    return frequency / by.factor;
  const double smooth =
      (original / wavelength - by.low_freq_factor) / (by.high_freq_factor - by.low_freq_factor);
  return (1 - smooth) * frequency / by.factor + smooth * frequency;
}

TEST(LlamaRope, frequencies_are_those_of_the_formula_with_and_without_scaling) {
  LlamaConfig config = published_config("llama-3.2-1b");
  const at::Tensor stretched = inverse_frequencies(config);
  const RopeScaling scaling = *config.rope_scaling;
  config.rope_scaling.reset();
  const at::Tensor plain = inverse_frequencies(config);
  ASSERT_EQ(plain.numel(), 32);
  int kept = 0, between = 0, divided = 0;
  for (int i = 0; i < 32; ++i) {
    const double frequency = std::pow(500000.0, -2.0 * i / 64.0), expected = scaled(frequency, scaling);
    EXPECT_NEAR(plain[i].item<float>() / frequency, 1.0, 1e-6) << i;
    EXPECT_NEAR(stretched[i].item<float>() / expected, 1.0, 2e-6) << i;
    kept += expected == frequency;
    divided += expected == frequency / 32;
    between += expected != frequency && expected != frequency / 32;
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(between, 0);
  EXPECT_GT(divided, 0);
}

TEST(LlamaRope, dimension_i_turns_with_dimension_i_plus_half) {
  const LlamaConfig config = tiny_config();
  const Rotation by = rotation(config, 5, at::kCPU, at::kFloat);
  at::Tensor x = at::arange(config.head_dim, at::kFloat).add(1).reshape({1, 1, 1, -1}).repeat({1, 1, 5, 1});
  const at::Tensor turned = rotate(x, by);
  const auto half = config.head_dim / 2;
  const double angle = 3.0 * std::pow(config.rope_theta, -2.0 / static_cast<double>(config.head_dim));
  EXPECT_NEAR(turned[0][0][3][1].item<float>(), 2 * std::cos(angle) - (2 + half) * std::sin(angle), 1e-5);
  EXPECT_NEAR(turned[0][0][3][1 + half].item<float>(), (2 + half) * std::cos(angle) + 2 * std::sin(angle),
              1e-5);
}

TEST(LlamaModel, a_token_sees_only_what_stands_before_it) {
  const Llama model = random_llama(tiny_config(), 1);
  at::Tensor tokens = at::arange(24, at::kLong).reshape({2, 12});
  const at::Tensor before = model.logits(tokens);
  tokens = tokens.clone();
  tokens[0][7] = 90;
  const at::Tensor after = model.logits(tokens);
  EXPECT_TRUE(at::equal(before[0].slice(0, 0, 7), after[0].slice(0, 0, 7)));
  EXPECT_FALSE(at::allclose(before[0][7], after[0][7]));
  EXPECT_FALSE(at::allclose(before[0][11], after[0][11]));
  EXPECT_TRUE(at::equal(before[1], after[1]));
}

TEST(LlamaModel, a_seed_gives_the_same_weights_and_a_tied_head_is_the_embedding) {
  LlamaConfig config = tiny_config();
  config.tie_word_embeddings = true;
  const Llama one = random_llama(config, 5), same = random_llama(config, 5), other = random_llama(config, 6);
  EXPECT_TRUE(at::equal(one.layers[1].down.weight, same.layers[1].down.weight));
  EXPECT_FALSE(at::equal(one.layers[1].down.weight, other.layers[1].down.weight));
  EXPECT_TRUE(one.head.weight.is_same(one.embedding));
  EXPECT_NEAR(one.embedding.std().item<float>(), config.initializer_range, 0.1 * config.initializer_range);
}

TEST(LlamaModel, adapters_change_nothing_at_first_and_get_the_gradients) {
  Llama model = random_llama(tiny_config(), 2);
  const at::Tensor tokens = at::arange(20, at::kLong).reshape({1, 20});
  const at::Tensor before = model.logits(tokens);
  add_lora(model, {.rank = 3, .alpha = 6}, 7);
  EXPECT_TRUE(at::equal(before, model.logits(tokens)));
  causal_loss(model.logits(tokens), tokens).backward();
  for (const auto& [name, tensor] : adapter_parameters(model)) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    const bool is_b = name.ends_with("lora_B.weight");  // A's gradient is 0 while B is
    EXPECT_EQ(tensor.grad().abs().sum().item<float>() > 0, is_b) << name;
  }
  for (const auto& [name, tensor] : base_parameters(model)) EXPECT_FALSE(tensor.grad().defined()) << name;
}

TEST(LlamaModel, labels_of_minus_100_do_not_count) {
  const Llama model = random_llama(tiny_config(), 3);
  const at::Tensor tokens = at::arange(16, at::kLong).reshape({1, 16});
  at::Tensor labels = tokens.clone();
  labels.slice(1, 9).fill_(-100);
  const at::Tensor logits = model.logits(tokens);
  const float expected = causal_loss(logits.slice(1, 0, 9), tokens.slice(1, 0, 9)).item<float>();
  EXPECT_FLOAT_EQ(causal_loss(logits, labels).item<float>(), expected);
}

}  // namespace
}  // namespace assay::reference::llama
