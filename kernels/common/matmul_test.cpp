// SPDX-License-Identifier: Apache-2.0
// Arguments of matmul: refused before any device is asked for.
#include "kernels/common/matmul.hpp"

#include <gtest/gtest.h>

#include <array>
#include <stdexcept>

namespace assay::kernels {
namespace {

alignas(256) std::array<char, 512> memory;

MatmulArgs valid() {
  return {.a = memory.data(), .b = memory.data(), .d = memory.data(), .m = 4, .n = 6, .k = 8};
}

template <class Change>
void expect_refused(Change change) {
  MatmulArgs args = valid();
  change(args);
  EXPECT_THROW(matmul(args, nullptr), std::invalid_argument);
}

TEST(MatmulArguments, missing_or_misaligned_matrices_are_refused) {
  expect_refused([](MatmulArgs& g) { g.a = nullptr; });
  expect_refused([](MatmulArgs& g) { g.b = nullptr; });
  expect_refused([](MatmulArgs& g) { g.d = nullptr; });
  expect_refused([](MatmulArgs& g) { g.a = memory.data() + 1; });
  expect_refused([](MatmulArgs& g) { g.b = memory.data() + 1; });
  expect_refused([](MatmulArgs& g) { g.out_type = MatmulType::kFloat32, g.d = memory.data() + 2; });
}

TEST(MatmulArguments, sizes_below_zero_are_refused) {
  expect_refused([](MatmulArgs& g) { g.m = -1; });
  expect_refused([](MatmulArgs& g) { g.n = -1; });
  expect_refused([](MatmulArgs& g) { g.k = -1; });
}

TEST(MatmulArguments, rows_that_overlap_are_refused_as_they_are_stored) {
  expect_refused([](MatmulArgs& g) { g.lda = 7; });
  expect_refused([](MatmulArgs& g) { g.transpose_a = true, g.lda = 3; });
  expect_refused([](MatmulArgs& g) { g.ldb = 5; });
  expect_refused([](MatmulArgs& g) { g.transpose_b = true, g.ldb = 7; });
  expect_refused([](MatmulArgs& g) { g.ldd = 5; });
  expect_refused([](MatmulArgs& g) { g.ldd = -6; });
}

TEST(MatmulArguments, results_are_the_operands_type_or_f32) {
  expect_refused([](MatmulArgs& g) { g.out_type = MatmulType::kFloat16; });
  expect_refused([](MatmulArgs& g) { g.in_type = MatmulType::kFloat32; });
  expect_refused([](MatmulArgs& g) { g.in_type = static_cast<MatmulType>(9); });
}

TEST(MatmulArguments, workspace_is_there_and_aligned) {
  expect_refused([](MatmulArgs& g) { g.workspace_bytes = 1024; });
  expect_refused([](MatmulArgs& g) { g.workspace = memory.data() + 16, g.workspace_bytes = 64; });
}

TEST(MatmulArguments, an_empty_result_needs_no_device) {
  EXPECT_NO_THROW(matmul({.m = 0, .n = 6, .k = 8}, nullptr));
  EXPECT_NO_THROW(matmul({.m = 4, .n = 0, .k = 8}, nullptr));
  EXPECT_NO_THROW(matmul({}, nullptr));
}

}  // namespace
}  // namespace assay::kernels
