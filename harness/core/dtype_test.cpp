// SPDX-License-Identifier: Apache-2.0
// Names and sizes of element types agree with C++'s own types.
#include "harness/core/dtype.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>

namespace assay::harness {
namespace {

constexpr Dtype kAll[] = {Dtype::kFloat64, Dtype::kFloat32, Dtype::kFloat16, Dtype::kBfloat16,
                          Dtype::kInt64,   Dtype::kInt32,   Dtype::kInt8,    Dtype::kUint8};

TEST(Dtype, every_name_leads_back_to_its_type) {
  std::set<std::string_view> names;
  for (const Dtype dtype : kAll) {
    EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
    names.insert(name_of(dtype));
  }
  EXPECT_EQ(names.size(), std::size(kAll));
}

TEST(Dtype, sizes_are_those_of_the_types_they_stand_for) {
  EXPECT_EQ(size_of(Dtype::kFloat64), sizeof(double));
  EXPECT_EQ(size_of(Dtype::kFloat32), sizeof(float));
  EXPECT_EQ(size_of(Dtype::kFloat16), sizeof(std::uint16_t));
  EXPECT_EQ(size_of(Dtype::kBfloat16), sizeof(std::uint16_t));
  EXPECT_EQ(size_of(Dtype::kInt64), sizeof(std::int64_t));
  EXPECT_EQ(size_of(Dtype::kInt32), sizeof(std::int32_t));
  EXPECT_EQ(size_of(Dtype::kInt8), sizeof(std::int8_t));
  EXPECT_EQ(size_of(Dtype::kUint8), sizeof(std::uint8_t));
}

TEST(Dtype, only_names_with_f_are_floating) {
  for (const Dtype dtype : kAll) {
    EXPECT_EQ(is_floating(dtype), name_of(dtype).find('f') != std::string_view::npos) << name_of(dtype);
  }
}

TEST(Dtype, an_unknown_name_is_refused_and_the_known_ones_are_listed) {
  try {
    dtype_from_name("fp16");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("'fp16'"), std::string::npos);
    for (const Dtype dtype : kAll) {
      EXPECT_NE(message.find(name_of(dtype)), std::string::npos) << message;
    }
  }
}

TEST(Dtype, a_value_outside_the_enumeration_is_refused) {
  EXPECT_THROW(size_of(static_cast<Dtype>(99)), std::invalid_argument);
}

}  // namespace
}  // namespace assay::harness
