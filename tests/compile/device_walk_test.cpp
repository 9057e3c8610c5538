// SPDX-License-Identifier: Apache-2.0
// The device's plan, inputs and walk with kernels of the host, against the eager run: which arguments every
// kernel gets, slabs, chunks of logits, padding, lengths and settings that change between runs. The GPU's
// cases (device_step_gpu_test.cpp) ask the same of the kernels themselves.
#include <gtest/gtest.h>

#include "tests/compile/loss_scaling_cases.hpp"
#include "tests/compile/step_cases.hpp"

namespace assay::testing {
namespace {

class DeviceWalk : public ::testing::TestWithParam<ParityCase> {};

TEST_P(DeviceWalk, follows_the_eager_run_for_two_steps) {
  Parity(GetParam()).expect_parity(make_host_step, 2);
}

INSTANTIATE_TEST_SUITE_P(Cases, DeviceWalk, ::testing::ValuesIn(parity_cases()),
                         [](const auto& info) { return name_of(info.param); });

TEST(DeviceWalkStep, what_changes_between_steps_has_an_effect) {
  expect_inputs_have_an_effect(make_host_step);
}
TEST(DeviceWalkStep, other_lengths_follow_the_eager_run) {
  expect_other_lengths_follow(make_host_step);
}
TEST(DeviceWalkStep, padding_changes_nothing) {
  expect_padding_changes_nothing(make_host_step);
}
TEST(DeviceWalkStep, all_policies_have_the_same_bits) {
  expect_policies_agree(make_host_step);
}
TEST(DeviceWalkStep, scaled_losses_follow_the_eager_run) {
  expect_scaled_steps_follow(make_host_step);
}
TEST(DeviceWalkStep, a_scale_that_overflows_moves_nothing_and_halves) {
  expect_overflow_skips_and_backs_off(make_host_step);
}
TEST(DeviceWalkStep, a_learning_rate_baked_into_the_list_is_seen) {
  expect_baked_rate_is_seen(make_host_step);
}
TEST(DeviceWalkStep, padding_that_is_not_cleared_is_seen) {
  const Parity p({});
  const auto step = p.make(make_host_step_without_clearing, p.setup());
  EXPECT_GT(p.worst(p.trace(*step, 1), 1), 1.0);
}
TEST(DeviceWalkStep, a_leak_across_a_packed_boundary_is_seen) {
  expect_leak_is_seen(make_host_step);
}

}  // namespace
}  // namespace assay::testing
