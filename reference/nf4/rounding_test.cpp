// SPDX-License-Identifier: Apache-2.0
// Rounding against its definition: every finite f16 and bf16, the midpoints between them, and a step to
// either side.
#include "reference/nf4/rounding.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace assay::reference::nf4 {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Checks round() around each pair of neighbours of a 16-bit format whose largest finite magnitude is
/// `largest`.
template <class Round, class Widen>
void check_neighbours(Round round, Widen widen, std::uint16_t largest) {
  for (std::uint16_t bits = 0; bits < largest; ++bits) {
    const float low = widen(bits), high = widen(static_cast<std::uint16_t>(bits + 1));
    const double middle = (static_cast<double>(low) + static_cast<double>(high)) / 2;  // exact in f32 as well
    const auto tie = static_cast<float>(middle);
    const std::uint16_t even = bits % 2 == 0 ? bits : static_cast<std::uint16_t>(bits + 1);
    ASSERT_EQ(static_cast<double>(tie), middle) << bits;
    ASSERT_EQ(round(low), bits);
    ASSERT_EQ(round(tie), even) << bits;
    ASSERT_EQ(round(std::nextafter(tie, 0.0f)), bits) << bits;
    ASSERT_EQ(round(std::nextafter(tie, kInfinity)), bits + 1) << bits;
    ASSERT_EQ(round(-tie), 0x8000 | even) << bits;
  }
}

TEST(Rounding, f16_takes_the_nearest_and_ties_to_even_everywhere) {
  check_neighbours(to_f16, from_f16, 0x7bff);
}

// The bf16 format's smallest tie is half a bf16 subnormal, still an f32 subnormal: no exception to the rule.
TEST(Rounding, bf16_takes_the_nearest_and_ties_to_even_everywhere) {
  check_neighbours(to_bf16, from_bf16, 0x7f7f);
}

TEST(Rounding, overflow_starts_half_a_step_above_the_largest_finite_value) {
  EXPECT_EQ(to_f16(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(to_f16(-kInfinity), 0xfc00);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x7f7f7fffu)), 0x7f7f);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x7f7f8000u)), 0x7f80);
}

TEST(Rounding, nan_is_canonical_whatever_its_sign_and_payload) {
  for (const std::uint32_t bits : {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xffffffffu, 0x7fffffffu}) {
    const float nan = std::bit_cast<float>(bits);
    EXPECT_EQ(to_f16(nan), 0x7fff);
    EXPECT_EQ(to_bf16(nan), 0x7fff);
    EXPECT_EQ(to_f32(nan), 0x7fffffffu);
  }
  EXPECT_EQ(to_f32(kInfinity), 0x7f800000u);
}

TEST(Rounding, widening_and_rounding_back_is_the_identity) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto b = static_cast<std::uint16_t>(bits);
    if ((b & 0x7fff) <= 0x7c00) {
      ASSERT_EQ(to_f16(from_f16(b)), b);
    } else {
      ASSERT_TRUE(std::isnan(from_f16(b)));
    }
    if ((b & 0x7fff) <= 0x7f80) {
      ASSERT_EQ(to_bf16(from_bf16(b)), b);
    }
  }
}

}  // namespace
}  // namespace assay::reference::nf4
