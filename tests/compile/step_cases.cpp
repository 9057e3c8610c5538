// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/step_cases.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

namespace assay::testing {

using namespace kernels::compile;  // NOLINT: whose steps these are

namespace {

constexpr const char* kAdapter = "layers.1.o.lora_A";

void run(StepUnderTest& step, const StepInputs& inputs) {
  step.load(inputs);
  step.run();
}

/// Adapters and moments as before the first step.
void reset(StepUnderTest& step, const Parity& p) {
  for (const auto& [name, values] : p.adapters) {
    const std::vector<float> zeros(values.size(), 0.0f);
    step.set(name, values);
    step.set(name + ".mean", zeros), step.set(name + ".square", zeros);
  }
}

void expect_same(const Trace& a, const Trace& b, const std::string& what) {
  EXPECT_EQ(a.losses, b.losses) << what;
  EXPECT_EQ(a.gradients, b.gradients) << what;
  EXPECT_EQ(a.adapters, b.adapters) << what;
}

/// The frozen settings of a list whose learning rate was baked in: those of the first step.
StepSetup with_baked_settings(const Parity& p) {
  return p.setup([](Program& program) {
    const int baked = static_cast<int>(program.buffers.size());
    program.buffers.push_back({"baked", Role::kFrozen, Element::kFloat32, 4, 1});
    for (Op& op : program.ops)
      if (op.kind == OpKind::kAdamW)
        op.in[2].buffer = baked;
  });
}

}  // namespace

void expect_inputs_have_an_effect(const MakeStep& make) {
  const Parity p({});
  const auto step = p.make(make, p.setup());
  run(*step, p.inputs(1));
  const std::vector<float> moved = step->get(kAdapter);
  const float loss = step->get("loss").front();

  reset(*step, p);
  StepInputs faster = p.inputs(1);
  faster.settings.learning_rate *= 3;
  run(*step, faster);
  EXPECT_EQ(step->get("loss").front(), loss);
  EXPECT_NE(step->get(kAdapter), moved);
  const auto far = [&](std::size_t i) {
    return std::abs(step->get(kAdapter)[i] - p.adapters.at(kAdapter)[i]);
  };
  EXPECT_NEAR(far(7), 3 * std::abs(moved[7] - p.adapters.at(kAdapter)[7]), 1e-5);

  reset(*step, p);
  run(*step, p.inputs(1));
  EXPECT_EQ(step->get(kAdapter), moved) << "the same inputs again";

  StepInputs inputs = p.inputs(1);
  std::vector<std::int64_t> labels = p.labels;
  std::fill(labels.begin(), labels.begin() + 100, -100);
  inputs.labels = labels;
  reset(*step, p);
  run(*step, inputs);
  EXPECT_NE(step->get("loss").front(), loss);

  const std::vector<std::int32_t> boundaries = {0, 30, 120, static_cast<std::int32_t>(p.tokens.size())};
  inputs = p.inputs(1);
  inputs.boundaries = boundaries;
  reset(*step, p);
  run(*step, inputs);
  EXPECT_NE(step->get("loss").front(), loss);
}

void expect_other_lengths_follow(const MakeStep& make) {
  Parity p({});
  const auto step = p.make(make, p.setup());
  run(*step, p.inputs(1));
  reset(*step, p);
  // Fewer tokens, cut elsewhere, one sequence more.
  p.problem.lengths = {3, 131, 17, 20};
  const std::int64_t count =
      std::accumulate(p.problem.lengths.begin(), p.problem.lengths.end(), std::int64_t{0});
  p.problem.tokens = p.problem.tokens.slice(0, 0, count).contiguous();
  p.problem.labels = p.problem.labels.slice(0, 0, count).contiguous();
  p.tokens.resize(static_cast<std::size_t>(count)), p.labels.resize(static_cast<std::size_t>(count));
  p.boundaries = boundaries_of(p.problem.lengths);
  EXPECT_LE(p.worst(p.trace(*step, 2), 2), 1.0);
}

void expect_padding_changes_nothing(const MakeStep& make) {
  const Parity full({.padding = 0}), padded({.padding = 311});
  const auto a = full.make(make, full.setup()), b = padded.make(make, padded.setup());
  const Trace of_full = full.trace(*a, 2), of_padded = padded.trace(*b, 2);
  EXPECT_LE(full.worst(of_full, 2), 1.0);
  EXPECT_LE(full.worst(of_padded, 2), 1.0);
  for (const float value : b->get(kAdapter + std::string(".gradient"))) ASSERT_TRUE(std::isfinite(value));
}

void expect_policies_agree(const MakeStep& make) {
  const Parity p({.keep = Keep::kEverything});
  const auto step = p.make(make, p.setup());
  const Trace kept = p.trace(*step, 2);
  for (const Keep keep : {Keep::kProducts, Keep::kAttention, Keep::kInput}) {
    const Parity other({.keep = keep});
    const auto again = other.make(make, other.setup());
    expect_same(kept, other.trace(*again, 2), name_of(other.c));
  }
  for (const auto& [first, rest] :
       {std::pair(Keep::kAttention, Keep::kProducts), std::pair(Keep::kProducts, Keep::kEverything),
        std::pair(Keep::kInput, Keep::kEverything)}) {
    const Parity mixed({.keep = rest, .first = first});
    const auto again = mixed.make(make, mixed.setup());
    expect_same(kept, mixed.trace(*again, 2), name_of(mixed.c));
  }
}

void expect_runs_repeat(const MakeStep& make) {
  const Parity p({});
  const auto step = p.make(make, p.setup());
  const Trace first = p.trace(*step, 3);
  reset(*step, p);
  expect_same(first, p.trace(*step, 3), "the second time");
}

void expect_baked_rate_is_seen(const MakeStep& make) {
  Parity p({});
  const StepSettings s = p.inputs(1).settings;
  const float baked[] = {s.learning_rate, s.step, s.weight_decay, s.largest_norm};
  p.weights.dense["baked"].resize(sizeof baked);
  std::memcpy(p.weights.dense["baked"].data(), baked, sizeof baked);
  const auto wrong = p.make(make, with_baked_settings(p));
  EXPECT_GT(p.worst(p.trace(*wrong, 5), 5), 1.0);
  p.weights.dense.erase("baked");
  const auto right = p.make(make, p.setup());
  EXPECT_LE(p.worst(p.trace(*right, 5), 5), 1.0);
}

void expect_leak_is_seen(const MakeStep& make) {
  const Parity p({});
  const std::vector<std::int32_t> one = {0, p.boundaries.back()};
  std::vector<std::int32_t> positions;
  for (const std::int64_t length : p.problem.lengths)
    for (std::int32_t i = 0; i < length; ++i) positions.push_back(i);
  const auto step = p.make(make, p.setup());
  StepInputs leaking = p.inputs(1);
  leaking.boundaries = one, leaking.positions = positions;
  run(*step, leaking);
  Trace trace = p.eager(p.scalar_type(), 1);  // right but for what leaked
  trace.losses = {step->get("loss").front()};
  for (auto& [name, values] : trace.gradients) values = step->get(name + ".gradient");
  EXPECT_GT(p.worst(trace, 1), 1.0);
}

}  // namespace assay::testing
