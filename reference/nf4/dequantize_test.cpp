// SPDX-License-Identifier: Apache-2.0
#include "reference/nf4/dequantize.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "reference/nf4/golden/golden.hpp"
#include "reference/nf4/table.hpp"

namespace assay::reference::nf4 {
namespace {

constexpr Scalar kTypes[] = {Scalar::kFloat16, Scalar::kBfloat16, Scalar::kFloat32};

/// Random nested weights that own their memory.
struct Sample {
  std::vector<std::uint8_t> packed, codes;
  std::vector<float> nested_absmax, nested_code;
  float offset = 0.0625f;
  QuantizedWeights weights;

  Sample(std::int64_t count, std::int32_t block_size, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    const std::int64_t blocks = (count + block_size - 1) / block_size;
    packed.resize(static_cast<std::size_t>(count + 1) / 2);
    codes.resize(static_cast<std::size_t>(blocks));
    nested_absmax.resize(static_cast<std::size_t>(blocks + 255) / 256);
    nested_code.resize(256);
    for (auto& x : packed) x = static_cast<std::uint8_t>(random());
    for (auto& x : codes) x = static_cast<std::uint8_t>(random());
    for (auto& x : nested_absmax) x = 0.01f * uniform(random);
    for (auto& x : nested_code) x = uniform(random);
    weights = {.packed = packed.data(),
               .count = count,
               .block_size = block_size,
               .absmax_codes = codes.data(),
               .nested_absmax = nested_absmax.data(),
               .nested_code = nested_code.data(),
               .nested_offset = &offset};
  }
};

std::vector<std::uint8_t> exact_bytes(const QuantizedWeights& w, Scalar type, std::int64_t begin,
                                      std::int64_t count) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(count) * size_of(type));
  exact(w, type, begin, count, reinterpret_cast<std::byte*>(out.data()));
  return out;
}

TEST(Exact, the_high_nibble_comes_first_and_rows_do_not_matter) {
  const std::uint8_t packed[] = {0x0f, 0x70};
  const float absmax[] = {2.0f};
  const QuantizedWeights w{.packed = packed, .count = 3, .block_size = 64, .absmax = absmax};
  float out[3];
  exact(w, Scalar::kFloat32, 0, 3, reinterpret_cast<std::byte*>(out));
  EXPECT_EQ(out[0], -2.0f);
  EXPECT_EQ(out[1], 2.0f);
  EXPECT_EQ(out[2], 0.0f);
}

TEST(Exact, the_absmax_multiply_and_add_are_rounded_apart) {
  // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24 rounds to 1 + 2^-11 on its own; fused, the 2^-24 would survive.
  const float x = 1.0f + 0x1p-12f;
  const std::vector<float> code(256, x);
  const std::uint8_t packed[] = {0xff}, codes[] = {0};
  const float nested_absmax[] = {x}, offset = -(1.0f + 0x1p-11f);
  const QuantizedWeights w{.packed = packed,
                           .count = 1,
                           .absmax_codes = codes,
                           .nested_absmax = nested_absmax,
                           .nested_code = code.data(),
                           .nested_offset = &offset};
  float out = 1.0f;
  exact(w, Scalar::kFloat32, 0, 1, reinterpret_cast<std::byte*>(&out));
  EXPECT_EQ(out, 0.0f);
  EXPECT_EQ(std::fma(x, x, offset), 0x1p-24f);
}

TEST(Exact, any_range_equals_that_part_of_the_whole) {
  const Sample sample(1001, 32, 1);
  for (const Scalar type : kTypes) {
    const auto whole = exact_bytes(sample.weights, type, 0, 1001);
    for (const auto& [begin, count] :
         {std::pair{0, 0}, {0, 1}, {1, 1}, {31, 2}, {63, 900}, {1000, 1}, {1001, 0}}) {
      const auto part = exact_bytes(sample.weights, type, begin, count);
      const auto at = whole.begin() + begin * static_cast<std::ptrdiff_t>(size_of(type));
      EXPECT_TRUE(std::equal(part.begin(), part.end(), at)) << begin << " " << count;
    }
  }
}

TEST(Exact, a_range_outside_the_weights_is_refused) {
  const Sample sample(100, 64, 2);
  EXPECT_THROW(exact_bytes(sample.weights, Scalar::kFloat16, 90, 11), std::invalid_argument);
  std::vector<double> out(2);
  EXPECT_THROW(truth(sample.weights, -1, out), std::invalid_argument);
}

TEST(Exact, is_within_the_three_roundings_of_truth) {
  const Sample sample(20000, 64, 3);
  std::vector<double> expected(20000);
  truth(sample.weights, 0, expected);
  std::vector<float> out(20000);
  exact(sample.weights, Scalar::kFloat32, 0, 20000, reinterpret_cast<std::byte*>(out.data()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    // |code| <= 1, |product| <= 0.01, |absmax| <= 0.0725: each rounding is off by at most half an ulp of
    // these.
    ASSERT_NEAR(out[i], expected[i], (0.01 + 2 * 0.0725) * 0x1p-24);
  }
}

TEST(Exact, infinite_and_nan_absmax_follow_ieee_with_canonical_nan) {
  const std::uint8_t packed[32 * 2] = {0x7f};
  const float absmax[] = {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
  const QuantizedWeights w{.packed = packed, .count = 128, .absmax = absmax};
  std::uint16_t out[128];
  exact(w, Scalar::kBfloat16, 0, 128, reinterpret_cast<std::byte*>(out));
  EXPECT_EQ(out[0], 0x7fff);  // 0 * inf
  EXPECT_EQ(out[1], 0x7f80);
  EXPECT_EQ(out[2], 0xff80);  // -1 * inf
  EXPECT_EQ(out[64], 0x7fff);
}

TEST(Truth, is_the_formula_in_f64) {
  const Sample sample(100, 64, 4);
  std::vector<double> out(3);
  truth(sample.weights, 70, out);
  const double absmax =
      static_cast<double>(sample.nested_code[sample.codes[1]]) * sample.nested_absmax[0] + 0.0625;
  EXPECT_EQ(out[1], kNf4Code[sample.packed[35] & 15] * absmax);
  EXPECT_EQ(out[0], kNf4Code[sample.packed[35] >> 4] * absmax);
}

TEST(ScalarBaseline, has_the_exact_bits_for_every_type_and_tail) {
  for (const std::int64_t count : {0, 1, 63, 64, 65, 1000, 4097}) {
    const Sample sample(count, 64, 5);
    for (const Scalar type : kTypes) {
      std::vector<std::uint8_t> out(static_cast<std::size_t>(count) * size_of(type));
      dequantize_scalar(sample.weights, type, out.data());
      EXPECT_EQ(out, exact_bytes(sample.weights, type, 0, count)) << count;
    }
  }
}

TEST(Golden, nested_weights_of_the_real_library_dequantize_to_its_bits) {
  const auto map = golden::values_of<float>(golden::kDynamicMap);
  for (const golden::Case& c : golden::kCases) {
    const auto packed = golden::values_of<std::uint8_t>(c.packed);
    const auto codes = golden::values_of<std::uint8_t>(c.absmax_codes);
    const auto nested_absmax = golden::values_of<float>(c.nested_absmax);
    const auto offset = golden::values_of<float>(c.offset);
    const QuantizedWeights w{.packed = packed.data(),
                             .count = c.count,
                             .block_size = c.block_size,
                             .codebook = c.codebook,
                             .absmax_codes = codes.data(),
                             .nested_absmax = nested_absmax.data(),
                             .nested_code = map.data(),
                             .nested_offset = offset.data()};
    for (int t = 0; t < 3; ++t)
      EXPECT_EQ(golden::digest_of(c, kTypes[t], exact_bytes(w, kTypes[t], 0, c.count)), c.dequantized[t])
          << c.name;
  }
}

}  // namespace
}  // namespace assay::reference::nf4
