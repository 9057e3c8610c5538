// SPDX-License-Identifier: Apache-2.0
#include "harness/run/nearest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(NearestNames, misspelt_names_find_what_they_meant) {
  const std::vector<std::string> names{"backprop/grpo/n150/fused", "nf4/dequantize/2048x8192/cuda_fused",
                                       "nf4/dequantize/1024x4096/cuda_fused",
                                       "nf4/dequantize/1024x4096/cpu_simd"};
  EXPECT_THAT(nearest_names("nf4/dequantise/1024x4096/cuda_fused", names, 2),
              ElementsAre("nf4/dequantize/1024x4096/cuda_fused", "nf4/dequantize/2048x8192/cuda_fused"));
  EXPECT_THAT(nearest_names("nf4/*/cpu_smid", names, 1), ElementsAre("nf4/dequantize/1024x4096/cpu_simd"));
  EXPECT_THAT(nearest_names("back*fuse", names, 1), ElementsAre("backprop/grpo/n150/fused"));
}

TEST(NearestNames, each_name_comes_once_and_none_from_nothing) {
  EXPECT_THAT(nearest_names("b", {"a", "a", "b"}, 5), ElementsAre("b", "a"));
  EXPECT_THAT(nearest_names("b", {}, 5), IsEmpty());
  EXPECT_THAT(nearest_names("", {"xyz"}, 1), ElementsAre("xyz"));
}

}  // namespace
}  // namespace assay::harness
