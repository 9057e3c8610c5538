// SPDX-License-Identifier: Apache-2.0
// The timing path judged by itself on this very machine, busy or not: same against same must not be resolved,
// 3 % more of the same work must be. What makes this hold under load is the method (short, equally long,
// interleaved samples in random order, medians, a margin), and the limits below are those the project
// promises.
#include <gtest/gtest.h>

#include "harness/measure/noise.hpp"
#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

constexpr int kTrials = 40;
constexpr int kPlantedRounds = 103;

const DeviceInfo& cpu() {
  static const DeviceInfo device = describe(DeviceKind::kCpu);
  return device;
}

/// Bounds each test to seconds on a machine so busy that intervals stay wide.
MeasureOptions bounded(std::uint64_t seed) {
  MeasureOptions options;
  options.seed = seed;
  options.budget_seconds = 0.3;
  return options;
}

TEST(AaTrials, same_against_same_is_not_resolved_in_95_percent_of_40_trials) {
  const Noise noise = measure_noise(cpu(), kTrials, bounded(1));
  RecordProperty("half_width_percent", std::to_string(noise.half_width_percent));
  EXPECT_EQ(noise.trials, kTrials);
  EXPECT_LE(noise.fraction_resolved, 0.05);
  EXPECT_GE(noise.minimum_detectable_percent, 100 * kVerdictMargin);
  EXPECT_GE(noise.minimum_detectable_percent, noise.half_width_percent);
  EXPECT_GT(noise.half_width_percent, 0.0);
}

int trials_called(Verdict verdict, TimeMode mode, int candidate_rounds, int baseline_rounds, int trials) {
  const SyntheticWork work(cpu());
  const Prepared candidate = work.prepare(candidate_rounds), baseline = work.prepare(baseline_rounds);
  int called = 0;
  for (int trial = 0; trial < trials; ++trial) {
    const MeasureOptions options = bounded(static_cast<std::uint64_t>(100 + trial));
    called += measure_pair(mode, candidate, baseline, cpu(), options).verdict == verdict;
  }
  return called;
}

TEST(AaTrials, a_planted_3_percent_slowdown_is_called_worse) {
  EXPECT_GE(trials_called(Verdict::kWorse, TimeMode::kGraph, kPlantedRounds, SyntheticWork::kUsualRounds, 20),
            19);
}

TEST(AaTrials, a_planted_3_percent_gain_is_called_better) {
  EXPECT_GE(
      trials_called(Verdict::kBetter, TimeMode::kGraph, SyntheticWork::kUsualRounds, kPlantedRounds, 20), 20);
}

TEST(AaTrials, wall_mode_tells_same_from_slower_too) {
  EXPECT_LE(kTrials - trials_called(Verdict::kNotResolved, TimeMode::kWall, 100, 100, kTrials), kTrials / 20);
  EXPECT_GE(trials_called(Verdict::kWorse, TimeMode::kWall, kPlantedRounds, SyntheticWork::kUsualRounds, 10),
            9);
}

}  // namespace
}  // namespace assay::harness
