// SPDX-License-Identifier: Apache-2.0
// The rule on the host, and the kernels against it where there is a GPU.
#include "kernels/compile/device/loss_scaling.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/common/device_bytes_test.hpp"

namespace assay::kernels::compile {
namespace {

using kernels::testing::DeviceBytes;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// One step with an initial scale of 16 that doubles after three finite steps.
LossScaler stepped(LossScaler scaler, bool is_finite) {
  scaler.scale = loss_scale_of(scaler, 16.0f);
  return after_step(scaler, is_finite, 3);
}

TEST(LossScaling, halves_at_once_and_doubles_after_finite_steps_in_a_row) {
  LossScaler s;
  EXPECT_EQ(loss_scale_of(s, 16.0f), 16.0f);
  s = stepped(stepped(s, true), true);
  EXPECT_EQ(loss_scale_of(s, 16.0f), 16.0f);
  s = stepped(s, true);
  EXPECT_EQ(loss_scale_of(s, 16.0f), 32.0f);
  s = stepped(stepped(s, true), false);
  EXPECT_EQ(loss_scale_of(s, 16.0f), 16.0f);
  EXPECT_EQ(s.skipped, 1.0f);
  s = stepped(stepped(s, true), true);
  EXPECT_EQ(loss_scale_of(s, 16.0f), 16.0f) << "the row begins again behind a skipped step";
  EXPECT_EQ(loss_scale_of(stepped(s, true), 16.0f), 32.0f);
}

TEST(LossScaling, stays_within_its_limits) {
  LossScaler low, high;
  for (int i = 0; i < 100; ++i) low = stepped(low, false), high = stepped(high, true);
  EXPECT_EQ(loss_scale_of(low, 16.0f), kLowestLossScale);
  EXPECT_EQ(low.skipped, 100.0f);
  EXPECT_EQ(loss_scale_of(high, 16.0f), kHighestLossScale);
}

TEST(LossScaling, settings_out_of_range_are_refused) {
  for (const float initial :
       {-1.0f, 3.0f, 0x1p-15f, 0x1p15f, kInfinity, std::numeric_limits<float>::quiet_NaN()})
    EXPECT_THROW(check(LossScaling{.initial = initial}), std::invalid_argument) << initial;
  EXPECT_THROW(check(LossScaling{.initial = 16.0f, .growth_interval = 0}), std::invalid_argument);
  for (const float initial : {0.0f, 0x1p-14f, 1.0f, 0x1p14f})
    EXPECT_NO_THROW(check(LossScaling{.initial = initial}));
  EXPECT_THROW(begin_loss_scaling({}, nullptr), std::invalid_argument);
  EXPECT_THROW(end_loss_scaling({}, nullptr), std::invalid_argument);
}

TEST(GpuLossScaling, kernels_follow_the_rule) {
  if (!kernels::testing::has_gpu())
    GTEST_SKIP() << "no GPU";
  const DeviceBytes state(std::vector<float>(4, 0.0f)), mean(std::vector<float>{0.25f}), factor(nullptr, 4),
      settings(std::vector<float>{1e-3f, 9.0f, 0.1f, 0.0f}), used(nullptr, 16);
  LossScaler expected;
  int skipped = 0;
  for (const float sum : {1.0f, 2.0f, 3.0f, kInfinity, std::numeric_limits<float>::quiet_NaN(), 4.0f}) {
    const DeviceBytes square_sum(std::vector<float>{sum});
    begin_loss_scaling({state.as<LossScaler>(), 16.0f, mean.as<float>(), factor.as<float>()}, nullptr);
    end_loss_scaling(
        {state.as<LossScaler>(), 3, square_sum.as<float>(), settings.as<float>(), used.as<float>()}, nullptr);
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
    float found_factor = 0, found_settings[4] = {};
    LossScaler found;
    factor.copy_to(&found_factor), used.copy_to(found_settings), state.copy_to(&found);
    const float scale = loss_scale_of(expected, 16.0f);
    EXPECT_EQ(found_factor, 0.25f / scale);
    EXPECT_EQ(found_settings[0], 1e-3f);
    EXPECT_EQ(found_settings[1], 9.0f - static_cast<float>(skipped));
    EXPECT_EQ(found_settings[2], 0.1f);
    EXPECT_EQ(found_settings[3], kAnyNorm);
    const bool is_finite = sum < kInfinity;
    skipped += is_finite ? 0 : 1;
    expected = stepped(expected, is_finite);
    EXPECT_EQ(found.exponent, expected.exponent);
    EXPECT_EQ(found.scale, scale);
    EXPECT_EQ(found.finite_steps, expected.finite_steps);
    EXPECT_EQ(found.skipped, expected.skipped);
  }
}

}  // namespace
}  // namespace assay::kernels::compile
