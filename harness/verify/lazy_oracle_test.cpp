// SPDX-License-Identifier: Apache-2.0
#include "harness/verify/lazy_oracle.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace assay::harness {
namespace {

TEST(LazyOracle, makes_the_truth_once_and_knows_its_outputs) {
  int made = 0;
  const Oracle oracle = lazy_oracle(
      [&made] {
        ++made;
        return std::vector<double>{1.0, 2.0, 3.0};
      },
      [](const std::vector<double>& values, std::string_view output) {
        return output == "y" ? values.data() : nullptr;
      });
  EXPECT_EQ(made, 0);
  std::array<double, 2> out{};
  oracle.truth("y", 1, out);
  oracle.truth("y", 1, out);
  EXPECT_EQ(made, 1);
  EXPECT_EQ(out[0], 2.0);
  EXPECT_EQ(out[1], 3.0);
  EXPECT_THROW(oracle.truth("z", 0, out), std::out_of_range);
}

}  // namespace
}  // namespace assay::harness
