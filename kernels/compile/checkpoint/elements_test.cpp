// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/elements.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

namespace assay::kernels::compile::checkpoint {
namespace {

template <class To, class From>
std::vector<To> converted(const std::vector<From>& values, ElementType from, ElementType to) {
  const std::int64_t count = std::ssize(values);
  std::vector<std::byte> memory(bytes_to_convert(count, from, to));
  std::memcpy(memory.data() + memory.size() - values.size() * sizeof(From), values.data(),
              values.size() * sizeof(From));
  convert(memory, count, from, to);
  std::vector<To> out(values.size());
  std::memcpy(out.data(), memory.data(), out.size() * sizeof(To));
  return out;
}

TEST(Elements, are_converted_in_their_own_memory) {
  const std::vector<float> values = {1.0f, -2.5f, 65504.0f, 0x1p-24f, 0.0f, 1.0f / 3};
  const std::vector<std::uint16_t> half = {0x3c00, 0xc100, 0x7bff, 0x0001, 0x0000, 0x3555};
  const std::vector<std::uint16_t> brain = {0x3f80, 0xc020, 0x4780, 0x3380, 0x0000, 0x3eab};
  using enum ElementType;
  EXPECT_EQ((converted<std::uint16_t>(values, kFloat32, kFloat16)), half);
  EXPECT_EQ((converted<std::uint16_t>(values, kFloat32, kBfloat16)), brain);
  EXPECT_EQ((converted<float>(values, kFloat32, kFloat32)), values);
  EXPECT_EQ((converted<float>(half, kFloat16, kFloat32)),
            (std::vector<float>{1.0f, -2.5f, 65504.0f, 0x1p-24f, 0.0f, 0.333251953125f}));
  EXPECT_EQ((converted<float>(brain, kBfloat16, kFloat32)),
            (std::vector<float>{1.0f, -2.5f, 65536.0f, 0x1p-24f, 0.0f, 0.333984375f}));
  EXPECT_EQ((converted<std::uint16_t>(half, kFloat16, kBfloat16)), brain);
  EXPECT_EQ((converted<std::uint16_t>(brain, kBfloat16, kFloat16))[2], 0x7c00) << "65536 is too large";
}

TEST(Elements, that_are_not_finite_are_found_wherever_they_are) {
  for (const std::size_t place : {0, 1, 4095, 4096, 9999}) {
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> values(10000, 3.0e38f);
      EXPECT_EQ(first_not_finite(std::as_bytes(std::span(values)), ElementType::kFloat32), -1);
      values[place] = -bad;
      EXPECT_EQ(first_not_finite(std::as_bytes(std::span(values)), ElementType::kFloat32),
                static_cast<std::int64_t>(place));
    }
    std::vector<std::uint16_t> bits(10000, 0x7bff);
    EXPECT_EQ(first_not_finite(std::as_bytes(std::span(bits)), ElementType::kFloat16), -1);
    bits[place] = 0xfc01;
    EXPECT_EQ(first_not_finite(std::as_bytes(std::span(bits)), ElementType::kFloat16),
              static_cast<std::int64_t>(place));
  }
}

TEST(Elements, types_are_those_of_floating_point) {
  EXPECT_EQ(element_type("BF16"), ElementType::kBfloat16);
  EXPECT_EQ(element_type("F16"), ElementType::kFloat16);
  EXPECT_EQ(element_type("F32"), ElementType::kFloat32);
  EXPECT_FALSE(element_type("F64"));
  EXPECT_FALSE(element_type("U8"));
}

}  // namespace
}  // namespace assay::kernels::compile::checkpoint
