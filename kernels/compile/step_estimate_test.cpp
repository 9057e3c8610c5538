// SPDX-License-Identifier: Apache-2.0
// Figures computed by hand from the formulas of a Llama layer.
#include "kernels/compile/step_estimate.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace assay::kernels::compile {
namespace {

constexpr LlamaShape kSmall{.layers = 2,
                            .hidden = 8,
                            .intermediate = 16,
                            .heads = 4,
                            .kv_heads = 2,
                            .head_dim = 2,
                            .vocab = 10,
                            .lora_rank = 1};
constexpr LlamaShape k8B{.layers = 32,
                         .hidden = 4096,
                         .intermediate = 14336,
                         .heads = 32,
                         .kv_heads = 8,
                         .head_dim = 128,
                         .vocab = 128256};
constexpr LlamaShape k1B{.layers = 16,
                         .hidden = 2048,
                         .intermediate = 8192,
                         .heads = 32,
                         .kv_heads = 8,
                         .head_dim = 64,
                         .vocab = 128256,
                         .tied = true};
constexpr double kGiB = 1 << 30;

TEST(StepEstimate, a_layer_keeps_what_its_policy_says) {
  // Input 8, queries 8, keys 4, values 4, attention 8, state 8, norms 16, gate and up 32, their product 16;
  // six f32.
  EXPECT_EQ(kept_bytes(kSmall, Keep::kEverything), 2 * 104 + 24);
  EXPECT_EQ(kept_bytes(kSmall, Keep::kProducts), 2 * (104 - 16 - 16) + 24);
  EXPECT_EQ(kept_bytes(kSmall, Keep::kAttention), 2 * (104 - 16 - 16 - 32) + 24);
  EXPECT_EQ(kept_bytes(kSmall, Keep::kInput), 2 * 8);
}

TEST(StepEstimate, memory_of_a_small_model_is_what_a_hand_adds_up) {
  const StepEstimate e = estimate_step(kSmall, {.count = 4, .sequence = 2}, Keep::kEverything, 3);
  // 1152 weights: 576 bytes of nibbles, 18 blocks; embedding and head of 80, five norms of 8.
  EXPECT_EQ(e.base, 576 + 18 + 2 * (2 * 80 + 5 * 8));
  EXPECT_EQ(e.adapters, 2 * 128 * (16 + 2));
  EXPECT_EQ(e.kept, 232 * 2 * 4);
  EXPECT_EQ(e.decoded, 2 * 2 * 128);
  EXPECT_EQ(e.logits, 2 * 3 * 10);
  EXPECT_EQ(e.total(), e.base + e.adapters + e.kept + e.layer + e.decoded + e.logits);
}

TEST(StepEstimate, work_of_a_small_model_is_what_a_hand_adds_up) {
  const StepEstimate e = estimate_step(kSmall, {.count = 4, .sequence = 2}, Keep::kEverything, 3);
  EXPECT_DOUBLE_EQ(e.product_flops, 2 * (1152 + 256) * 4 * 2 + 2 * 256 * 4 + 4 * 80 * 4);
  EXPECT_DOUBLE_EQ(e.attention_flops, 3.5 * 4 * 2 / 2 * 8 * 4 * 2);
  EXPECT_DOUBLE_EQ(e.decoded_bytes, 2 * (594 + 2 * 1152));
  EXPECT_DOUBLE_EQ(e.seconds(e.product_flops, e.attention_flops, e.decoded_bytes + e.pointwise_bytes), 3.0);
}

TEST(StepEstimate, what_is_kept_less_is_multiplied_more) {
  const Tokens tokens{.count = 4096, .sequence = 2048};
  StepEstimate before = estimate_step(k8B, tokens, Keep::kEverything, 1024);
  for (const Keep keep : {Keep::kProducts, Keep::kAttention, Keep::kInput}) {
    const StepEstimate now = estimate_step(k8B, tokens, keep, 1024);
    EXPECT_LT(now.total(), before.total());
    EXPECT_GT(now.seconds(680e12, 400e12, 2.7e12), before.seconds(680e12, 400e12, 2.7e12));
    before = now;
  }
  EXPECT_DOUBLE_EQ(estimate_step(k8B, tokens, Keep::kProducts, 1024).product_flops,
                   estimate_step(k8B, tokens, Keep::kEverything, 1024).product_flops);
}

TEST(StepEstimate, a_tied_head_is_stored_once) {
  LlamaShape untied = k1B;
  untied.tied = false;
  const Tokens tokens{.count = 8192, .sequence = 2048};
  EXPECT_EQ(estimate_step(untied, tokens, Keep::kInput, 1024).base -
                estimate_step(k1B, tokens, Keep::kInput, 1024).base,
            2 * 128256 * 2048);
}

/// docs/compiled_step.md quotes these.
TEST(StepEstimate, the_goals_are_within_reach_of_the_arithmetic) {
  const auto gib = [](const StepEstimate& e) { return static_cast<double>(e.total()) / kGiB; };
  const Tokens of_8b{.count = 4096, .sequence = 2048}, of_1b{.count = 8192, .sequence = 2048};
  EXPECT_NEAR(gib(estimate_step(k8B, of_8b, Keep::kEverything, 1024)), 23.9, 0.1);
  EXPECT_NEAR(gib(estimate_step(k8B, of_8b, Keep::kProducts, 1024)), 18.6, 0.1);
  EXPECT_NEAR(gib(estimate_step(k8B, of_8b, Keep::kAttention, 1024)), 11.8, 0.1);
  EXPECT_NEAR(gib(estimate_step(k1B, of_1b, Keep::kEverything, 1024)), 11.2, 0.1);
  EXPECT_NEAR(gib(estimate_step(k1B, of_1b, Keep::kAttention, 1024)), 4.6, 0.1);
}

TEST(StepEstimate, nonsense_is_refused) {
  const Tokens tokens{.count = 4, .sequence = 2};
  LlamaShape shape = kSmall;
  shape.kv_heads = 3;
  EXPECT_THROW(estimate_step(shape, tokens, Keep::kInput, 1), std::invalid_argument);
  shape = kSmall, shape.layers = 0;
  EXPECT_THROW(estimate_step(shape, tokens, Keep::kInput, 1), std::invalid_argument);
  EXPECT_THROW(estimate_step(kSmall, {}, Keep::kInput, 1), std::invalid_argument);
  EXPECT_THROW(estimate_step(kSmall, tokens, Keep::kInput, 0), std::invalid_argument);
  EXPECT_THROW(kept_bytes(kSmall, static_cast<Keep>(9)), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::compile
