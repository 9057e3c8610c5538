// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/engine/loss_scaler.hpp"

#include <gtest/gtest.h>

namespace assay::kernels::fsdp {
namespace {

TEST(LossScaler, halves_at_once_and_doubles_behind_so_many_finite_steps_in_a_row) {
  LossScaler scaler{.scale = 8, .growth_interval = 3};
  for (const auto& [finite, expected] : {std::pair{true, 8.0},
                                         {true, 8.0},
                                         {false, 4.0},
                                         {true, 4.0},
                                         {true, 4.0},
                                         {true, 8.0},
                                         {true, 8.0},
                                         {false, 4.0},
                                         {false, 2.0}}) {
    scaler.update(finite);
    EXPECT_EQ(scaler.scale, expected);
  }
}

}  // namespace
}  // namespace assay::kernels::fsdp
