// SPDX-License-Identifier: Apache-2.0
// Windows of calls elsewhere, with made-up clocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include "harness/core/outside.hpp"
#include "harness/measure/measure.hpp"

namespace assay::harness {
namespace {

DeviceInfo cpu() {
  DeviceInfo device;
  device.kind = DeviceKind::kCpu;
  return device;
}

/// Calls of `call_ns` and a little noise; `largest` keeps the longest window asked for.
Prepared made_up(double call_ns, std::int64_t sets, std::int64_t* largest = nullptr) {
  RemoteCalls calls;
  calls.sets = sets;
  calls.window_ns = [=, random = std::make_shared<std::mt19937>(1)](std::int64_t first, std::int64_t count,
                                                                    std::int64_t) {
    EXPECT_GE(first, 0);
    EXPECT_LT(first, sets);
    EXPECT_GE(count, 1);
    if (largest != nullptr)
      *largest = std::max(*largest, count);
    return call_ns * static_cast<double>(count) * std::uniform_real_distribution<double>(1.0, 1.01)(*random);
  };
  Prepared prepared;
  prepared.remote = std::make_shared<const RemoteCalls>(calls);
  return prepared;
}

TEST(RemoteSamplers, time_of_a_call_and_ratio_come_from_windows) {
  const Timing timing =
      measure_pair(TimeMode::kGraph, made_up(50e3, 8), made_up(100e3, 8), cpu(), MeasureOptions{});
  EXPECT_NEAR(timing.candidate_ns, 50e3, 1e3);
  ASSERT_TRUE(timing.speedup.has_value());
  EXPECT_NEAR(timing.speedup->median, 2.0, 0.02);
  EXPECT_EQ(timing.verdict, Verdict::kBetter);
  EXPECT_THAT(timing.notes, testing::Contains(testing::HasSubstr("in a process of its own")));
}

TEST(RemoteSamplers, short_calls_share_a_window_beside_which_the_request_is_short) {
  std::int64_t largest = 0;
  measure_pair(TimeMode::kGraph, made_up(1e3, 4, &largest), made_up(1e3, 4), cpu(), MeasureOptions{});
  EXPECT_GE(largest, 900);
}

TEST(RemoteSamplers, one_side_here_and_one_elsewhere_is_refused) {
  Prepared here;
  here.into = {[](Stream) {}};
  EXPECT_THROW(measure_pair(TimeMode::kGraph, here, made_up(1e3, 1), cpu(), MeasureOptions{}),
               std::invalid_argument);
}

TEST(RemoteSamplers, sides_on_different_rotations_are_refused) {
  EXPECT_THROW(measure_pair(TimeMode::kGraph, made_up(1e3, 2), made_up(1e3, 3), cpu(), MeasureOptions{}),
               std::invalid_argument);
}

}  // namespace
}  // namespace assay::harness
