// SPDX-License-Identifier: Apache-2.0
// Skinny products on every instruction set of this machine: the cases of the GPU kernels.
#include "kernels/nf4/matmul/skinny_cpu.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/nf4/matmul/skinny_cases_test.hpp"

namespace assay::kernels::nf4 {
namespace {

using testing::SkinnyCase;
using testing::SkinnySample;

std::vector<SkinnyCase> all_cases() {
  std::vector<SkinnyCase> cases = testing::matrix_cases();
  for (const SkinnyCase& c : testing::plain_cases()) cases.push_back(c);
  return cases;
}

TEST(SkinnyLinearCpu, every_case_on_every_instruction_set) {
  for (const std::string& set : skinny_cpu_instruction_sets()) {
    SCOPED_TRACE(set);
    unsigned seed = 1;
    for (const SkinnyCase& c : all_cases()) {
      SkinnySample sample(c, seed++);
      skinny_linear_cpu_on(set, sample.args());
      sample.expect_product(sample.y);
    }
  }
}

TEST(SkinnyLinearCpu, bits_do_not_depend_on_the_number_of_threads) {
  const SkinnyCase c{.m = 3, .n = 301, .k = 2000};
  SkinnySample one(c, 1), many(c, 1);
  skinny_linear_cpu(one.args(), 1);
  skinny_linear_cpu(many.args(), 7);
  EXPECT_EQ(one.y, many.y);
}

TEST(SkinnyLinearCpu, no_columns_give_the_bias) {
  const SkinnyCase c{.m = 2, .n = 9, .k = 0, .bias = true};
  SkinnySample sample(c, 1);
  std::uint8_t code = 0;
  SkinnyArgs args = sample.args();
  args.weights.packed = &code;
  skinny_linear_cpu(args);
  for (std::size_t i = 0; i < sample.y.size(); ++i)
    ASSERT_EQ(sample.y[i], sample.bias[i % sample.bias.size()]) << "byte " << i;
}

TEST(SkinnyLinearCpu, bad_arguments_are_refused) {
  SkinnySample sample({.m = 2, .n = 8, .k = 64}, 1);
  SkinnyArgs args = sample.args();
  args.m = 17;
  EXPECT_THROW(skinny_linear_cpu(args), std::invalid_argument);
  args = sample.args();
  args.y = nullptr;
  EXPECT_THROW(skinny_linear_cpu(args), std::invalid_argument);
  EXPECT_THROW(skinny_linear_cpu_on("no such set", sample.args()), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::nf4
