// SPDX-License-Identifier: Apache-2.0
#include "kernels/nf4/format.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::nf4 {
namespace {

using testing::AllOf;
using testing::HasSubstr;

alignas(4) std::uint8_t bytes[64];
float floats[256];

PackedWeights single_level() {
  return {.packed = bytes, .num_weights = 100, .absmax = floats};
}
PackedWeights nested() {
  return {.packed = bytes,
          .num_weights = 100,
          .absmax_codes = bytes,
          .nested_absmax = floats,
          .nested_code = floats,
          .nested_offset = floats};
}
QuantizeArgs quantize_args() {
  return {.in = floats, .num_weights = 100, .packed = bytes, .absmax = floats};
}
QuantizeAbsmaxArgs quantize_absmax_args() {
  return {.absmax = floats,
          .num_blocks = 10,
          .nested_code = floats,
          .offset = floats,
          .absmax_codes = bytes,
          .nested_absmax = floats};
}

template <class Args>
std::string refusal(const Args& args) {
  try {
    validate(args);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

template <class Args>
std::string refusal(Args args, const std::function<void(Args&)>& spoil) {
  spoil(args);
  return refusal(args);
}

const float* misaligned() {
  return reinterpret_cast<const float*>(bytes + 1);
}

TEST(Validate, well_formed_weights_are_accepted) {
  EXPECT_EQ(refusal(single_level()), "accepted");
  EXPECT_EQ(refusal(nested()), "accepted");
  EXPECT_EQ(refusal(PackedWeights{}), "accepted");  // no weights need no pointers
  EXPECT_EQ(refusal(quantize_args()), "accepted");
  EXPECT_EQ(refusal(quantize_absmax_args()), "accepted");
  for (std::int32_t size = 32; size <= 4096; size *= 2)
    EXPECT_EQ(refusal<PackedWeights>(nested(), [&](auto& w) { w.block_size = size; }), "accepted");
}

TEST(Validate, block_sizes_that_are_no_power_of_two_in_range_are_refused) {
  for (const std::int32_t size : {-64, 0, 1, 16, 63, 96, 8192}) {
    EXPECT_THAT(refusal<PackedWeights>(nested(), [&](auto& w) { w.block_size = size; }),
                AllOf(HasSubstr("block_size"), HasSubstr("from 32 to 4096"),
                      HasSubstr("found " + std::to_string(size))));
    EXPECT_THAT(refusal<QuantizeArgs>(quantize_args(), [&](auto& a) { a.block_size = size; }),
                HasSubstr("block_size"));
  }
  for (const std::int32_t size : {-256, 0, 100}) {
    EXPECT_THAT(refusal<PackedWeights>(nested(), [&](auto& w) { w.nested_block_size = size; }),
                HasSubstr("nested_block_size"));
    EXPECT_THAT(
        refusal<QuantizeAbsmaxArgs>(quantize_absmax_args(), [&](auto& a) { a.nested_block_size = size; }),
        HasSubstr("nested_block_size"));
  }
}

TEST(Validate, negative_lengths_are_refused) {
  EXPECT_THAT(refusal<PackedWeights>(nested(), [](auto& w) { w.num_weights = -1; }),
              HasSubstr("num_weights >= 0"));
  EXPECT_THAT(refusal<QuantizeArgs>(quantize_args(), [](auto& a) { a.num_weights = -1; }),
              HasSubstr("found -1"));
  EXPECT_THAT(refusal<QuantizeAbsmaxArgs>(quantize_absmax_args(), [](auto& a) { a.num_blocks = -1; }),
              HasSubstr("num_blocks >= 0"));
}

TEST(Validate, the_missing_pointer_is_named) {
  EXPECT_THAT(refusal<PackedWeights>(single_level(), [](auto& w) { w.packed = nullptr; }),
              AllOf(HasSubstr("packed"), HasSubstr("50 bytes"), HasSubstr("null")));
  EXPECT_THAT(refusal<PackedWeights>(single_level(), [](auto& w) { w.absmax = nullptr; }),
              HasSubstr("absmax"));
  EXPECT_THAT(refusal<PackedWeights>(nested(), [](auto& w) { w.nested_absmax = nullptr; }),
              HasSubstr("nested_absmax"));
  EXPECT_THAT(refusal<PackedWeights>(nested(), [](auto& w) { w.nested_code = nullptr; }),
              HasSubstr("nested_code"));
  EXPECT_THAT(refusal<PackedWeights>(nested(), [](auto& w) { w.nested_offset = nullptr; }),
              HasSubstr("nested_offset"));
  EXPECT_THAT(refusal<QuantizeArgs>(quantize_args(), [](auto& a) { a.in = nullptr; }), HasSubstr(" in "));
  EXPECT_THAT(refusal<QuantizeArgs>(quantize_args(), [](auto& a) { a.packed = nullptr; }),
              HasSubstr("packed"));
  EXPECT_THAT(refusal<QuantizeAbsmaxArgs>(quantize_absmax_args(), [](auto& a) { a.absmax_codes = nullptr; }),
              HasSubstr("absmax_codes"));
}

TEST(Validate, absmax_given_twice_or_half_is_refused) {
  EXPECT_THAT(refusal<PackedWeights>(nested(), [](auto& w) { w.absmax = floats; }), HasSubstr("found both"));
  EXPECT_THAT(refusal<PackedWeights>(single_level(), [](auto& w) { w.nested_offset = floats; }),
              HasSubstr("no nested_offset"));
}

TEST(Validate, misaligned_floats_are_refused) {
  EXPECT_THAT(refusal<PackedWeights>(single_level(), [](auto& w) { w.absmax = misaligned(); }),
              HasSubstr("aligned"));
  EXPECT_THAT(refusal<PackedWeights>(nested(), [](auto& w) { w.nested_code = misaligned(); }),
              HasSubstr("aligned"));
  EXPECT_THAT(refusal<QuantizeArgs>(quantize_args(), [](auto& a) { a.in = bytes + 2; }),
              HasSubstr("4 bytes"));
  EXPECT_EQ(refusal<QuantizeArgs>(quantize_args(),
                                  [](auto& a) {
                                    a.in = bytes + 2;
                                    a.in_type = ScalarType::kFloat16;
                                  }),
            "accepted");
}

TEST(Validate, values_outside_the_enumerations_are_refused) {
  EXPECT_THAT(refusal<PackedWeights>(nested(), [](auto& w) { w.codebook = static_cast<Codebook>(7); }),
              HasSubstr("found value 7"));
  EXPECT_THAT(refusal<QuantizeArgs>(quantize_args(), [](auto& a) { a.in_type = static_cast<ScalarType>(9); }),
              HasSubstr("found value 9"));
}

}  // namespace
}  // namespace assay::kernels::nf4
