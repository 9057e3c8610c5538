// SPDX-License-Identifier: Apache-2.0
// The choice of a kernel's shape, without a GPU.
#include "kernels/nf4/dequantize_config.hpp"

#include <gtest/gtest.h>

namespace assay::kernels::nf4 {
namespace {

TEST(DequantizeConfig, every_vector_has_a_thread_and_no_block_is_idle) {
  for (const ScalarType type : {ScalarType::kFloat16, ScalarType::kBfloat16, ScalarType::kFloat32}) {
    for (const std::int64_t n :
         {1LL, 7LL, 8LL, 8191LL, 8193LL, 8LL << 20, 58720256LL, (1LL << 31) + 64, 1LL << 34}) {
      const DequantizeConfig c = choose_dequantize_config(n, type, true);
      const std::int64_t vectors = (n + weights_per_vector(type) - 1) / weights_per_vector(type);
      const std::int64_t tile = std::int64_t{c.threads} * c.vectors_per_thread;
      EXPECT_GE(c.blocks * tile, vectors) << n;
      EXPECT_LT((c.blocks - 1) * tile, vectors) << n;
      EXPECT_LE(c.blocks, 0x7fffffff) << n;
    }
  }
}

TEST(DequantizeConfig, only_shapes_that_were_built_are_chosen) {
  for (std::int64_t n = 1; n <= std::int64_t{1} << 34; n *= 2) {
    const DequantizeConfig c = choose_dequantize_config(n, ScalarType::kBfloat16, true);
    EXPECT_TRUE((c.threads == 256 && c.vectors_per_thread == 4) ||
                (c.threads == 512 && c.vectors_per_thread == 2))
        << n;
  }
}

TEST(DequantizeConfig, unaligned_pointers_take_a_thread_for_every_byte) {
  const DequantizeConfig c = choose_dequantize_config(1001, ScalarType::kBfloat16, false);
  EXPECT_FALSE(c.vectorized);
  EXPECT_GE(c.blocks * c.threads, 501);
  EXPECT_LT((c.blocks - 1) * c.threads, 501);
}

TEST(DequantizeConfig, the_measured_shapes_get_their_best_configuration) {
  const auto shape = [](std::int64_t n) {
    const DequantizeConfig c = choose_dequantize_config(n, ScalarType::kBfloat16, true);
    return std::pair(c.threads, c.vectors_per_thread);
  };
  EXPECT_EQ(shape(1024 * 4096), std::pair(512, 2));
  EXPECT_EQ(shape(2048 * 8192), std::pair(256, 4));
  EXPECT_EQ(shape(4096 * 14336), std::pair(256, 4));
  EXPECT_EQ(shape(8192LL * 28672), std::pair(512, 2));
}

}  // namespace
}  // namespace assay::kernels::nf4
