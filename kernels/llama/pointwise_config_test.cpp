// SPDX-License-Identifier: Apache-2.0
#include "kernels/llama/pointwise_config.hpp"

#include <gtest/gtest.h>

namespace assay::kernels::llama {
namespace {

TEST(PointwiseConfig, rows_of_llamas_are_held_in_registers) {
  EXPECT_EQ(choose_rms_norm_config({.rows = 8192, .hidden = 2048}),
            (RmsNormConfig{.shape = RowShape::kBlock, .threads = 128, .vectors = 2, .blocks = 8192}));
  EXPECT_EQ(choose_rms_norm_config({.rows = 4096, .hidden = 4096}),
            (RmsNormConfig{.shape = RowShape::kBlock, .threads = 256, .vectors = 2, .blocks = 4096}));
  EXPECT_EQ(choose_rms_norm_config({.rows = 1, .hidden = 16384}),
            (RmsNormConfig{.shape = RowShape::kBlock, .threads = 512, .vectors = 4, .blocks = 1}));
  EXPECT_EQ(choose_rms_norm_config({.rows = 10, .hidden = 128}),
            (RmsNormConfig{.shape = RowShape::kWarp, .threads = 128, .vectors = 1, .blocks = 3}));
}

TEST(PointwiseConfig, every_row_is_covered_and_a_block_never_too_large) {
  for (const int bytes : {2, 4}) {
    for (std::int64_t hidden = 1; hidden < 70000; hidden += hidden < 3000 ? 1 : 977) {
      for (const bool sums : {false, true}) {
        const RmsNormConfig c = choose_rms_norm_config(
            {.rows = 7, .hidden = hidden, .element_bytes = bytes, .sums_weight_gradient = sums});
        const std::int64_t vectors = (hidden * bytes + 15) / 16,
                           threads = c.shape == RowShape::kWarp ? 32 : c.threads;
        EXPECT_EQ(c.vectorized, hidden * bytes % 16 == 0) << hidden;
        EXPECT_EQ(c.threads % 32, 0) << hidden;
        EXPECT_LE(c.threads, 512) << hidden;
        EXPECT_FALSE(sums && c.shape == RowShape::kWarp) << hidden;
        if (c.shape != RowShape::kLoop) {
          EXPECT_TRUE(c.vectorized) << hidden;
          EXPECT_GE(threads * c.vectors, vectors) << hidden;
        }
      }
    }
  }
}

TEST(PointwiseConfig, a_weight_s_gradient_takes_as_many_blocks_as_run_at_once) {
  RmsNormShape shape{.rows = 16384, .hidden = 4096, .sums_weight_gradient = true};
  EXPECT_EQ(choose_rms_norm_config(shape).blocks, 384);
  shape.rows = 100;
  EXPECT_EQ(choose_rms_norm_config(shape).blocks, 100);
  RmsNormBackward args{.rows = 16384, .hidden = 4096};
  EXPECT_EQ(rms_norm_workspace_bytes(args), 0);
  args.dw = &args;
  EXPECT_EQ(rms_norm_workspace_bytes(args), 384 * 4096 * 4);
}

TEST(PointwiseConfig, rope_covers_every_pair_of_vectors) {
  EXPECT_EQ(choose_rope_config(40, 128, 2, true),
            (RopeConfig{.threads = 320, .vectors_per_half = 8, .heads_per_pass = 40}));
  EXPECT_EQ(choose_rope_config(40, 64, 2, true),
            (RopeConfig{.threads = 160, .vectors_per_half = 4, .heads_per_pass = 40}));
  EXPECT_EQ(choose_rope_config(72, 128, 2, true),
            (RopeConfig{.threads = 288, .vectors_per_half = 8, .heads_per_pass = 36}));
  EXPECT_FALSE(choose_rope_config(40, 128, 2, false).vectorized);
  EXPECT_FALSE(choose_rope_config(40, 72, 2, true).vectorized);
  for (const int bytes : {2, 4}) {
    for (std::int64_t head_dim = 2; head_dim <= 1024; head_dim += 2) {
      for (const std::int64_t heads : {1, 3, 40, 129}) {
        const RopeConfig c = choose_rope_config(heads, head_dim, bytes, true);
        EXPECT_GE(c.vectors_per_half * 16 / bytes, head_dim / 2);
        EXPECT_GE(c.threads, c.vectors_per_half * c.heads_per_pass);
        EXPECT_LE(c.threads, 384);
      }
    }
  }
}

TEST(PointwiseConfig, swiglu_tiles_cover_a_row) {
  EXPECT_EQ(choose_swiglu_config(4096, 14336, 2, true, 2),
            (SwigluConfig{.threads = 256, .vectors = 2, .tiles_per_row = 4, .blocks = 16384}));
  EXPECT_EQ(choose_swiglu_config(1, std::int64_t{1} << 40, 2, true, 1).blocks, std::int64_t{1} << 29);
  EXPECT_FALSE(choose_swiglu_config(3, 43, 2, true, 1).vectorized);
}

TEST(PointwiseConfig, matrices_without_gaps_become_one_row) {
  float x[24];
  const SwigluForward packed{ElementType::kFloat32, 3, 8, {x, 8}, {x, 8}, {x, 8}};
  EXPECT_EQ(flattened(packed).rows, 1);
  EXPECT_EQ(flattened(packed).columns, 24);
  SwigluForward halves = packed;
  halves.gate.stride = 16;
  EXPECT_EQ(flattened(halves).rows, 3);
  SwigluBackward without_y{ElementType::kFloat32, 3, 8, {x, 8}, {x, 8}, {x, 8}, {x, 8}, {x, 8}, {}};
  EXPECT_EQ(flattened(without_y).rows, 1);
}

}  // namespace
}  // namespace assay::kernels::llama
