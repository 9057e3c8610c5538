// SPDX-License-Identifier: Apache-2.0
// Products that the tests on the GPU and on the emulated machine share, and what is expected of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/nf4/matmul/skinny.hpp"

namespace assay::kernels::nf4::testing {

struct SkinnyCase {
  int m = 1;
  std::int64_t n = 16, k = 256;
  ScalarType type = ScalarType::kBfloat16;
  std::int32_t block_size = 64;
  bool nested = true, bias = false;
  Codebook codebook = Codebook::kNf4;
  std::int64_t padding = 0;  ///< elements between rows of x and of y

  std::string name() const;
};

/// Host memory of a case; y is poisoned with NaN.
struct SkinnySample {
  SkinnySample(const SkinnyCase& c, unsigned seed);

  SkinnyCase c;
  std::vector<std::uint8_t> packed, absmax_codes;
  std::vector<float> absmax, nested_absmax, nested_code, nested_offset;
  std::vector<std::byte> x, bias, y;

  SkinnyArgs args();  ///< host pointers

  /// Compares what `out`, laid out as y, holds: in the root mean square no more than 1.2 times as far from
  /// the f64 product as weights rounded to 16 bits with exact sums are, one by one within the bound of
  /// rounded codes, and padding untouched.
  void expect_product(const std::vector<std::byte>& out) const;
};

/// Every shape of the matrix kernel: tails of rows, of K and of columns, both block sizes, both types.
std::vector<SkinnyCase> matrix_cases();
/// What it refuses: odd K, small blocks, f32, unaligned rows.
std::vector<SkinnyCase> plain_cases();

}  // namespace assay::kernels::nf4::testing
