// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/loss_scaling_cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace assay::testing {

using namespace kernels::compile;  // NOLINT: whose steps these are

namespace {

constexpr const char* kAdapter = "layers.1.o.lora_A";

Parity f16_parity() {
  return Parity({.packed = true, .compute = ComputeType::kFloat16});
}

std::unique_ptr<StepUnderTest> scaled_step(const Parity& p, const MakeStep& make,
                                           const LossScaling& scaling) {
  StepSetup setup = p.setup();
  setup.loss_scaling = scaling;
  return p.make(make, std::move(setup));
}

LossScaler scaler_of(StepUnderTest& step) {
  const std::vector<float> state = step.get("loss_scaler");
  return {state[0], state[1], state[2], state[3]};
}

struct State {
  std::vector<float> adapter, mean, square;
  bool operator==(const State&) const = default;
};
State state_of(StepUnderTest& step) {
  return {step.get(kAdapter), step.get(std::string(kAdapter) + ".mean"),
          step.get(std::string(kAdapter) + ".square")};
}

StepInputs inputs(const Parity& p, int number, float largest_norm) {
  StepInputs made = p.inputs(1);  // one rate, whatever the number
  made.settings.step = static_cast<float>(number);
  made.settings.largest_norm = largest_norm;
  return made;
}

}  // namespace

void expect_scaled_steps_follow(const MakeStep& make) {
  const Parity p = f16_parity();
  const auto plain = p.make(make, p.setup());
  // Scaled by a power of two, a step is as far from the eager run as the plain one on the same device.
  const double allowed = std::max(1.0, 1.05 * p.worst(p.trace(*plain, 2), 2));
  for (const float initial : {0x1p-4f, 1.0f, 0x1p4f}) {
    const auto step = scaled_step(p, make, {.initial = initial, .growth_interval = 2});
    EXPECT_LE(p.worst(p.trace(*step, 2), 2), allowed) << initial;
    const LossScaler scaler = scaler_of(*step);
    EXPECT_EQ(scaler.scale, initial) << "of the step that ran";
    EXPECT_EQ(scaler.exponent, 1.0f) << "of the next one, behind two finite steps";
    EXPECT_EQ(scaler.skipped, 0.0f);
  }
}

void expect_overflow_skips_and_backs_off(const MakeStep& make) {
  const Parity p = f16_parity();
  for (const float largest_norm : {0.0f, 1.0f}) {
    const auto step = scaled_step(p, make, {.initial = kHighestLossScale, .growth_interval = 1000});
    const State before = state_of(*step);
    int number = 1;
    for (; number <= 20; ++number) {
      step->load(inputs(p, number, largest_norm));
      step->run();
      const LossScaler scaler = scaler_of(*step);
      EXPECT_EQ(scaler.scale, std::ldexp(kHighestLossScale, 1 - number));
      EXPECT_TRUE(std::isfinite(step->get("loss").front())) << "the loss is not scaled";
      if (scaler.skipped < static_cast<float>(number))
        break;
      EXPECT_EQ(scaler.exponent, static_cast<float>(-number));
      EXPECT_EQ(state_of(*step), before) << "step " << number << " was to be skipped";
    }
    EXPECT_GT(number, 1) << "nothing overflowed, so nothing was tested";
    EXPECT_LT(number, 20);
    const LossScaler found = scaler_of(*step);
    EXPECT_EQ(found.skipped, static_cast<float>(number - 1));
    EXPECT_EQ(found.finite_steps, 1.0f);

    const auto fresh = scaled_step(p, make, {.initial = found.scale, .growth_interval = 1000});
    fresh->load(inputs(p, 1, largest_norm));
    fresh->run();
    EXPECT_NE(state_of(*fresh), before);
    EXPECT_EQ(state_of(*step), state_of(*fresh)) << "skipped steps count in the moments' correction";
  }
}

}  // namespace assay::testing
