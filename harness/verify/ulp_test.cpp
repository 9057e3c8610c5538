// SPDX-License-Identifier: Apache-2.0
// Decoding, rounding and distances, against values written out by hand and against the compiler's own
// conversions.
#include "harness/verify/ulp.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace assay::harness {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Ulp, bfloat16_ties_round_to_even) {
  // Between 1 (0x3F80) and 1.0078125 (0x3F81) the middle is 1.00390625.
  EXPECT_EQ(encode<Bfloat16Format>(1.00390625), 0x3F80);
  EXPECT_EQ(encode<Bfloat16Format>(1.00390625 + 0x1p-40), 0x3F81);
  // Between 0x3F81 and 0x3F82 the tie goes up, to the even one.
  EXPECT_EQ(encode<Bfloat16Format>(1.01171875), 0x3F82);
  EXPECT_EQ(encode<Bfloat16Format>(-1.01171875), 0xBF82);
}

TEST(Ulp, rounding_to_bfloat16_is_not_done_twice) {
  // Through f32 this becomes the tie 1.00390625 and then 0x3F80; correctly rounded it lies above the tie.
  const double above_tie = 1.00390625 + 0x1p-30;
  EXPECT_EQ(encode<Bfloat16Format>(above_tie), 0x3F81);
  EXPECT_EQ(encode<Bfloat16Format>(static_cast<double>(static_cast<float>(above_tie))), 0x3F80);
}

TEST(Ulp, overflow_and_subnormals_of_float16) {
  EXPECT_EQ(encode<Float16Format>(65504.0), 0x7BFF);
  EXPECT_EQ(encode<Float16Format>(65519.99), 0x7BFF);
  EXPECT_EQ(encode<Float16Format>(65520.0), 0x7C00) << "the tie between 65504 and 65536 rounds to infinity";
  EXPECT_EQ(encode<Float16Format>(0x1p-24), 0x0001);
  EXPECT_EQ(encode<Float16Format>(0x1p-25), 0x0000) << "half the least subnormal ties to zero";
  EXPECT_EQ(encode<Float16Format>(0x1.8p-25), 0x0001);
  EXPECT_EQ(encode<Float16Format>(-0x1p-25), 0x8000);
  EXPECT_EQ(encode<Float16Format>(0x1.FFEp-15), 0x0400) << "rounds up to the least normal number";
  EXPECT_EQ(encode<Float16Format>(-kInfinity), 0xFC00);
  EXPECT_TRUE(is_nan<Float16Format>(encode<Float16Format>(std::nan(""))));
}

template <class F>
void every_16_bit_pattern_survives_decoding_and_encoding() {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    if (!is_nan<F>(pattern)) {
      ASSERT_EQ(encode<F>(decode<F>(pattern)), pattern);
    } else {
      ASSERT_TRUE(std::isnan(decode<F>(pattern)));
    }
  }
}
TEST(Ulp, every_float16_survives_decoding_and_encoding) {
  every_16_bit_pattern_survives_decoding_and_encoding<Float16Format>();
}
TEST(Ulp, every_bfloat16_survives_decoding_and_encoding) {
  every_16_bit_pattern_survives_decoding_and_encoding<Bfloat16Format>();
}

TEST(Ulp, known_float16_values_decode) {
  EXPECT_EQ(decode<Float16Format>(0x3C00), 1.0);
  EXPECT_EQ(decode<Float16Format>(0xC000), -2.0);
  EXPECT_EQ(decode<Float16Format>(0x0001), 0x1p-24);
  EXPECT_EQ(decode<Float16Format>(0x03FF), 1023 * 0x1p-24);
  EXPECT_EQ(decode<Float16Format>(0x7C00), kInfinity);
}

TEST(Ulp, rounding_to_float32_agrees_with_the_compiler) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (!std::isnan(value)) {
      ASSERT_EQ(encode<Float32Format>(value), std::bit_cast<std::uint32_t>(static_cast<float>(value)))
          << value;
    }
  }
  for (const double value :
       {0x1p-149, 0x1p-150, 0x1.8p-150, 0x1.FFFFFFp-127, 0x1.FFFFFFp127, 0x1.FFFFFEFp127}) {
    EXPECT_EQ(encode<Float32Format>(value), std::bit_cast<std::uint32_t>(static_cast<float>(value))) << value;
  }
}

TEST(Ulp, distance_counts_steps_through_zero) {
  EXPECT_EQ(ulp_distance<Bfloat16Format>(0x3F80, 0x3F83), 3);
  EXPECT_EQ(ulp_distance<Bfloat16Format>(0x0000, 0x8000), 0) << "both zeros are one number";
  EXPECT_EQ(ulp_distance<Bfloat16Format>(0x0002, 0x8001), 3);
  EXPECT_EQ(ulp_distance<Float16Format>(0x7BFF, 0x7C00), 1) << "infinity follows the largest number";
  EXPECT_EQ(ulp_distance<Float64Format>(std::bit_cast<std::uint64_t>(kInfinity),
                                        std::bit_cast<std::uint64_t>(-kInfinity)),
            std::numeric_limits<std::int64_t>::max())
      << "saturates";
}

TEST(Ulp, spacing_follows_the_exponent) {
  EXPECT_EQ(ulp_size<Bfloat16Format>(1.0), 0x1p-7);
  EXPECT_EQ(ulp_size<Bfloat16Format>(-1.99), 0x1p-7);
  EXPECT_EQ(ulp_size<Bfloat16Format>(2.0), 0x1p-6);
  EXPECT_EQ(ulp_size<Float16Format>(0.0), 0x1p-24);
  EXPECT_EQ(ulp_size<Float16Format>(1e300), 32.0) << "beyond the range: the spacing of the largest numbers";
  EXPECT_EQ(ulp_size<Float64Format>(0.0), std::numeric_limits<double>::denorm_min());
}

TEST(Ulp, buckets_are_those_of_the_record) {
  EXPECT_EQ(ulp_bucket(0), 0);
  EXPECT_EQ(ulp_bucket(1), 1);
  EXPECT_EQ(ulp_bucket(2), 2);
  EXPECT_EQ(ulp_bucket(3), 3);
  EXPECT_EQ(ulp_bucket(4), 3);
  EXPECT_EQ(ulp_bucket(5), 4);
  EXPECT_EQ(ulp_bucket(8), 4);
  EXPECT_EQ(ulp_bucket(32768), kUlpBuckets - 2);
  EXPECT_EQ(ulp_bucket(32769), kUlpBuckets - 1);
  EXPECT_EQ(ulp_bucket(std::numeric_limits<std::int64_t>::max()), kUlpBuckets - 1)
      << "the last bucket is open";
}

}  // namespace
}  // namespace assay::harness
