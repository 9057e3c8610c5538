// SPDX-License-Identifier: Apache-2.0
// The captured step on the machine's GPU against the eager run, and what only a graph can get wrong: stale
// pointers, captures and searches after warm-up, inputs that were not captured for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/compile/gpu_step.hpp"
#include "tests/compile/loss_scaling_cases.hpp"
#include "tests/compile/step_cases.hpp"

namespace assay::testing {
namespace {

using kernels::compile::StepCounters;

void skip_without_gpu() {
  if (!kernels::testing::has_gpu())
    GTEST_SKIP() << "no GPU";
}

class GpuDeviceStep : public ::testing::TestWithParam<ParityCase> {
 protected:
  void SetUp() override { skip_without_gpu(); }
};

TEST_P(GpuDeviceStep, five_replays_follow_the_eager_run) {
  Parity(GetParam()).expect_parity(make_gpu_step, 5);
}

INSTANTIATE_TEST_SUITE_P(GpuCases, GpuDeviceStep, ::testing::ValuesIn(parity_cases()),
                         [](const auto& info) { return name_of(info.param); });

class GpuDeviceStepCalls : public ::testing::Test {
 protected:
  void SetUp() override { skip_without_gpu(); }
};

TEST_F(GpuDeviceStepCalls, what_changes_between_replays_has_an_effect) {
  expect_inputs_have_an_effect(make_gpu_step);
}
TEST_F(GpuDeviceStepCalls, one_graph_serves_other_lengths) {
  expect_other_lengths_follow(make_gpu_step);
}
TEST_F(GpuDeviceStepCalls, padding_changes_nothing) {
  expect_padding_changes_nothing(make_gpu_step);
}
TEST_F(GpuDeviceStepCalls, all_policies_have_the_same_bits) {
  expect_policies_agree(make_gpu_step);
}
TEST_F(GpuDeviceStepCalls, replays_from_one_state_have_the_same_bits) {
  expect_runs_repeat(make_gpu_step);
}
TEST_F(GpuDeviceStepCalls, scaled_losses_follow_the_eager_run) {
  expect_scaled_steps_follow(make_gpu_step);
}
TEST_F(GpuDeviceStepCalls, a_scale_that_overflows_moves_nothing_and_halves) {
  expect_overflow_skips_and_backs_off(make_gpu_step);
}
TEST_F(GpuDeviceStepCalls, a_learning_rate_baked_into_the_graph_is_seen) {
  expect_baked_rate_is_seen(make_gpu_step);
}
TEST_F(GpuDeviceStepCalls, a_leak_across_a_packed_boundary_is_seen) {
  expect_leak_is_seen(make_gpu_step);
}

/// A captured step over dense weights, after its first step.
struct Captured {
  explicit Captured(bool fails) : parity({.packed = false}) {
    StepSetup setup = parity.setup();
    setup.fail_after_warm_up = fails;
    step = parity.make(make_gpu_step, std::move(setup));
    step->load(parity.inputs(1));
    step->run();
    loss = step->get("loss").front();
    for (const auto& [name, values] : parity.adapters) {  // back to where it began
      const std::vector<float> zeros(values.size(), 0.0f);
      step->set(name, values);
      step->set(name + ".mean", zeros), step->set(name + ".square", zeros);
    }
  }
  GpuStep& gpu() const { return static_cast<GpuStep&>(*step); }

  Parity parity;
  std::unique_ptr<StepUnderTest> step;
  float loss = 0;
};

constexpr const char* kMoved = "layers.1.up_proj";

TEST_F(GpuDeviceStepCalls, a_pointer_left_stale_by_a_reallocation_is_seen) {
  const Captured c(/*fails=*/true);
  c.gpu().move_weight(kMoved, /*tells=*/false);
  EXPECT_GT(c.parity.worst(c.parity.trace(*c.step, 2), 2), 1.0);
}

TEST_F(GpuDeviceStepCalls, a_reallocation_is_captured_anew_and_has_its_reason) {
  const Captured c(/*fails=*/false);
  c.gpu().move_weight(kMoved, /*tells=*/true);
  EXPECT_LE(c.parity.worst(c.parity.trace(*c.step, 2), 2), 1.0);
  const StepCounters& counters = c.gpu().step().counters();
  EXPECT_EQ(counters.captures, 2);
  ASSERT_EQ(counters.reasons.size(), 1u);
  EXPECT_THAT(counters.reasons[0], ::testing::HasSubstr(kMoved));
}

TEST_F(GpuDeviceStepCalls, a_reallocation_fails_where_only_replays_may_happen) {
  const Captured c(/*fails=*/true);
  c.gpu().move_weight(kMoved, /*tells=*/true);
  c.step->load(c.parity.inputs(1));
  try {
    c.step->run();
    FAIL() << "captured again";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(kMoved));
  }
  EXPECT_EQ(c.gpu().step().counters().captures, 1);
}

TEST_F(GpuDeviceStepCalls, two_hundred_mixes_of_lengths_are_replays_alone) {
  const Captured c(/*fails=*/true);
  const StepCounters before = c.gpu().step().counters();
  EXPECT_EQ(before.captures, 1);
  EXPECT_EQ(before.compilations, 2);  // attention forward and backward
  const auto count = static_cast<std::int32_t>(c.parity.tokens.size());
  for (std::int32_t i = 0; i < 200; ++i) {
    const std::vector<std::int32_t> boundaries = {0, 1 + i * 37 % 90, 91 + i * 53 % 100, count};
    kernels::compile::StepInputs inputs = c.parity.inputs(i + 1);
    inputs.boundaries = boundaries;
    c.step->load(inputs);
    c.step->run();
    ASSERT_TRUE(std::isfinite(c.gpu().step().loss())) << i;
  }
  const StepCounters& after = c.gpu().step().counters();
  EXPECT_EQ(after.steps, before.steps + 200);
  EXPECT_EQ(after.compilations, before.compilations);
  EXPECT_EQ(after.captures, before.captures);
  EXPECT_EQ(after.searches, before.searches);
  EXPECT_EQ(after.waits, 0);
  EXPECT_TRUE(after.reasons.empty());
}

TEST_F(GpuDeviceStepCalls, inputs_that_do_not_fit_are_refused_and_the_step_goes_on) {
  const Captured c(/*fails=*/true);
  kernels::compile::StepInputs inputs = c.parity.inputs(1);
  const std::vector<std::int64_t> many(c.parity.tokens.size() + 100, 1);
  const std::vector<std::int32_t> boundaries = {0, static_cast<std::int32_t>(many.size())};
  inputs.tokens = inputs.labels = many, inputs.boundaries = boundaries;
  EXPECT_THROW(c.step->load(inputs), std::invalid_argument);
  c.step->load(c.parity.inputs(1));
  c.step->run();
  EXPECT_EQ(c.gpu().step().loss(), c.loss);
}

TEST_F(GpuDeviceStepCalls, a_profile_has_every_kind_of_operation) {
  const Captured c(/*fails=*/true);
  const auto& ops = c.gpu().step().plan().program().ops;
  std::set<kernels::compile::OpKind> kinds;
  for (const auto& [op, ms] : c.gpu().step().profile()) {
    EXPECT_GT(ms, 0.0) << op;
    kinds.insert(ops[op].kind);
  }
  EXPECT_EQ(kinds.size(), 13u);  // all but kDecode: the weights are dense
}

TEST_F(GpuDeviceStepCalls, a_weight_that_is_not_bound_is_named) {
  const Parity p({});
  FrozenWeights weights = p.weights;
  weights.dense.erase("norm");
  const auto without = make_gpu_step(p.setup(), weights);
  without->load(p.inputs(1));
  try {
    without->run();
    FAIL() << "ran without a norm";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("'norm'"));
  }
}

}  // namespace
}  // namespace assay::testing
