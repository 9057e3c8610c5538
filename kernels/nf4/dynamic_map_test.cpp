// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::nf4 {
namespace {

TEST(DynamicMap, ascends_and_holds_zero_and_one_but_not_minus_one) {
  float map[256];
  dynamic_map(map);
  EXPECT_TRUE(std::is_sorted(map, map + 256));
  EXPECT_EQ(std::adjacent_find(map, map + 256), map + 256);
  EXPECT_EQ(map[127], 0.0f);
  EXPECT_EQ(map[255], 1.0f);
  for (int i = 1; i <= 127; ++i) EXPECT_EQ(map[127 + i], -map[127 - i]);
}

TEST(DynamicMap, is_the_closed_form_up_to_the_rounding_of_its_steps) {
  float map[256];
  dynamic_map(map);
  for (int decade = 0, i = 128; decade < 7; ++decade) {
    const int parts = 1 << decade;
    for (int k = 0; k < parts; ++k, ++i) {
      const double exact = std::pow(10.0, decade - 6) * (0.1 + 0.9 * (2 * k + 1) / (2.0 * parts));
      EXPECT_NEAR(map[i], exact, exact * 0x1p-22) << i;
    }
  }
}

}  // namespace
}  // namespace assay::kernels::nf4
