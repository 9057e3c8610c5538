// SPDX-License-Identifier: Apache-2.0
#include "kernels/nf4/matmul/skinny_config.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/nf4/matmul/skinny_cases_test.hpp"
#include "kernels/nf4/matmul/skinny_check.hpp"

namespace assay::kernels::nf4 {
namespace {

SkinnyProblem llama(std::int64_t n, std::int64_t k, int m) {
  return {.n = n, .k = k, .m = m};
}

TEST(SkinnyConfig, columns_hold_the_rows_of_x_with_as_many_blocks_apart_as_fit) {
  for (int m = 1; m <= 16; ++m) {
    const SkinnyConfig config = choose_skinny_config(llama(14336, 4096, m));
    EXPECT_TRUE(config.matrix);
    EXPECT_GE(columns_of(config), m);
    EXPECT_NO_THROW(check(config, llama(14336, 4096, m)));
  }
  EXPECT_EQ(choose_skinny_config(llama(4096, 4096, 1)).blocks_a_group, 4);
  EXPECT_EQ(choose_skinny_config(llama(4096, 4096, 3)).blocks_a_group, 2);
  EXPECT_EQ(choose_skinny_config(llama(4096, 4096, 9)).column_tiles, 2);
}

TEST(SkinnyConfig, thread_blocks_share_tiles_evenly) {
  EXPECT_EQ(choose_skinny_config(llama(4096, 14336, 1)).grid, 256u);  // one tile each
  EXPECT_EQ(choose_skinny_config(llama(14336, 4096, 1)).grid, 224u);  // 896 tiles, four each
  EXPECT_EQ(choose_skinny_config(llama(8192, 28672, 1)).grid, 256u);  // 512 tiles, two each
  EXPECT_EQ(choose_skinny_config(llama(16, 4096, 1)).grid, 1u);
}

TEST(SkinnyConfig, what_no_instruction_takes_goes_to_the_plain_kernel) {
  SkinnyProblem p = llama(4096, 4096, 1);
  EXPECT_TRUE(choose_skinny_config(p).matrix);
  for (const auto& change :
       {+[](SkinnyProblem& q) { q.k = 4100; }, +[](SkinnyProblem& q) { q.block_size = 32; },
        +[](SkinnyProblem& q) { q.aligned = false; }, +[](SkinnyProblem& q) { q.sm = 75; },
        +[](SkinnyProblem& q) { q.type = ScalarType::kFloat32; }, +[](SkinnyProblem& q) { q.k = 0; }}) {
    SkinnyProblem changed = p;
    change(changed);
    const SkinnyConfig config = choose_skinny_config(changed);
    EXPECT_FALSE(config.matrix);
    EXPECT_EQ(config.grid, 512u);
    EXPECT_NO_THROW(check(config, changed));
    EXPECT_THROW(check({.matrix = true, .grid = 1}, changed), std::invalid_argument);
  }
  p.sm = 75, p.type = ScalarType::kFloat16;
  EXPECT_TRUE(choose_skinny_config(p).matrix);
}

TEST(SkinnyArguments, are_refused_with_what_was_expected) {
  testing::SkinnySample sample({.m = 2, .n = 16, .k = 64}, 1);
  EXPECT_NO_THROW(checked(sample.args()));
  for (const auto& change :
       {+[](SkinnyArgs& a) { a.m = 17; }, +[](SkinnyArgs& a) { a.n = 15; }, +[](SkinnyArgs& a) { a.k = -64; },
        +[](SkinnyArgs& a) { a.ldx = 63; }, +[](SkinnyArgs& a) { a.ldy = 15; },
        +[](SkinnyArgs& a) { a.x = nullptr; }, +[](SkinnyArgs& a) { a.y = nullptr; },
        +[](SkinnyArgs& a) { a.type = static_cast<ScalarType>(9); },
        +[](SkinnyArgs& a) { a.bias = static_cast<const std::byte*>(a.x) + 1; },
        +[](SkinnyArgs& a) { a.weights.packed = nullptr; }}) {
    SkinnyArgs args = sample.args();
    change(args);
    EXPECT_THROW(checked(args), std::invalid_argument);
  }
}

}  // namespace
}  // namespace assay::kernels::nf4
