// SPDX-License-Identifier: Apache-2.0
// Sample lengths and the sets that samples walk over.
#include "harness/measure/sizing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "harness/measure/measure.hpp"
#include "harness/measure/rotation.hpp"

namespace assay::harness {
namespace {

TEST(MatchedUnits, fill_the_target_by_the_slower_side) {
  const SampleUnits units = matched_units(1000.0, 10.0, 40.0, 4096);
  EXPECT_EQ(units.baseline, 25);
  EXPECT_EQ(units.candidate, 100);
}

TEST(MatchedUnits, same_against_same_get_the_same_samples_even_if_sized_a_little_apart) {
  const SampleUnits units = matched_units(300.0, 100.1, 99.9, 4096);
  EXPECT_EQ(units.candidate, units.baseline);
}

TEST(MatchedUnits, of_calls_longer_than_the_target_still_last_equally_long) {
  const SampleUnits units = matched_units(150.0, 100.0, 5000.0, 4096);
  EXPECT_EQ(units.baseline, 1);
  EXPECT_EQ(units.candidate, 50);
}

TEST(MatchedUnits, are_never_none_and_never_above_the_bound) {
  const SampleUnits units = matched_units(1000.0, 0.0, 1e9, 64);
  EXPECT_EQ(units.candidate, 64);
  EXPECT_EQ(units.baseline, 1);
}

/// Distance in calls of both sides since a call's set was last used, at its smallest over `rounds` rounds;
/// per set, how often it was used.
struct Walk {
  std::int64_t youngest;
  std::vector<int> uses;
};

Walk walk(const Windows& windows, int rounds) {
  constexpr std::int64_t kNever = -1;
  std::vector<std::int64_t> last(static_cast<std::size_t>(windows.sets), kNever);
  Walk result{1 << 30, std::vector<int>(static_cast<std::size_t>(windows.sets), 0)};
  std::int64_t now = 0;
  const auto visit = [&](std::int64_t start, std::int64_t calls) {
    for (std::int64_t i = 0; i < calls; ++i, ++now) {
      const auto set = static_cast<std::size_t>((start + i) % windows.sets);
      if (last[set] != kNever) {
        result.youngest = std::min(result.youngest, now - last[set]);
      }
      last[set] = now;
      ++result.uses[set];
    }
  };
  for (int round = 0; round < rounds; ++round) {
    visit(windows.candidate_start(round), windows.calls.candidate);
    visit(windows.baseline_start(round), windows.calls.baseline);
  }
  return result;
}

TEST(PlanWindows, both_sides_reach_every_set_equally_often) {
  const Windows windows = plan_windows(150.0, 50.0, 50.0, 27);
  EXPECT_EQ(windows.calls.candidate, 3);
  const Walk result = walk(windows, 27);
  for (const int uses : result.uses) {
    EXPECT_EQ(uses, 6);
  }
}

TEST(PlanWindows, a_set_rests_for_at_least_half_a_rotation) {
  for (const std::int64_t sets : {2, 3, 5, 27, 64}) {
    for (const double call_us : {1.0, 10.0, 50.0, 500.0}) {
      const Windows windows = plan_windows(150.0, call_us, call_us, sets);
      EXPECT_GE(walk(windows, 200).youngest, sets / 2) << sets << " sets, " << call_us << " us";
    }
  }
}

TEST(PlanWindows, short_calls_walk_whole_passes) {
  const Windows windows = plan_windows(150.0, 1.0, 1.0, 64);
  EXPECT_EQ(windows.calls.candidate, 192);
  EXPECT_EQ(windows.candidate_start(7), 0);
  EXPECT_EQ(windows.baseline_start(7), 0);
}

TEST(PlanWindows, two_sets_alternate) {
  const Windows windows = plan_windows(150.0, 9000.0, 9000.0, 2);
  EXPECT_NE(windows.candidate_start(0), windows.baseline_start(0));
  EXPECT_NE(windows.candidate_start(0), windows.candidate_start(1));
}

TEST(PlanWindows, one_set_is_used_by_every_call) {
  const Windows windows = plan_windows(150.0, 50.0, 50.0, 1);
  EXPECT_EQ(windows.candidate_start(3), 0);
  EXPECT_EQ(windows.baseline_start(3), 0);
}

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(SetsFor, exceed_three_times_the_cache) {
  for (const std::size_t set : {3 * kMiB, 50 * kMiB, 60 * kMiB}) {
    EXPECT_GT(static_cast<std::size_t>(sets_for(set, 50 * kMiB, 80000 * kMiB)) * set, 150 * kMiB);
  }
}

TEST(SetsFor, stay_between_2_and_64) {
  EXPECT_EQ(sets_for(1, 50 * kMiB, 80000 * kMiB), 64);
  EXPECT_EQ(sets_for(0, 50 * kMiB, 80000 * kMiB), 64);
  EXPECT_EQ(sets_for(700 * kMiB, 50 * kMiB, 80000 * kMiB), 2);
}

TEST(SetsFor, keep_within_40_percent_of_the_free_memory) {
  EXPECT_EQ(sets_for(10 * kMiB, 50 * kMiB, 100 * kMiB), 4);
  EXPECT_EQ(sets_for(90 * kMiB, 50 * kMiB, 100 * kMiB), 2);
}

TEST(SetsFor, assume_a_cache_where_the_machine_hides_it) {
  EXPECT_GT(sets_for(10 * kMiB, 0, 80000 * kMiB), 2);
}

TEST(RotationCount, is_sane_on_this_machine) {
  const DeviceInfo device = describe(DeviceKind::kCpu);
  EXPECT_GE(rotation_count(kMiB, device), 2);
  EXPECT_LE(rotation_count(kMiB, device), 64);
  EXPECT_GT(free_bytes(device), 0u);
  EXPECT_LE(free_bytes(device), device.memory_bytes);
}

}  // namespace
}  // namespace assay::harness
