// SPDX-License-Identifier: Apache-2.0
// Clock readings to notes, with readings made up here.
#include "harness/measure/clock_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::harness {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// NVML's nvmlClocksEventReason* bits.
constexpr std::uint64_t kIdle = 0x1, kHardwareSlowdown = 0x8;

std::vector<std::string> notes_for(const std::vector<std::pair<unsigned, std::uint64_t>>& readings) {
  std::size_t next = 0;
  ClockWatch watch([&]() -> std::optional<ClockState> {
    ClockState state;
    state.sm_mhz = readings.at(next).first;
    state.throttle_reasons = readings.at(next).second;
    ++next;
    return state;
  });
  for (std::size_t i = 0; i < readings.size(); ++i) {
    watch.observe();
  }
  return watch.notes();
}

TEST(ClockWatch, a_steady_clock_leaves_no_note) {
  EXPECT_THAT(notes_for({{1980, 0}, {1965, 0}, {1980, kIdle}}), IsEmpty());
}

TEST(ClockWatch, a_clock_that_moved_more_than_3_percent_is_noted) {
  EXPECT_THAT(notes_for({{1980, 0}, {1755, 0}, {1900, 0}}),
              ElementsAre(HasSubstr("between 1755 and 1980 MHz")));
}

TEST(ClockWatch, a_slowdown_seen_once_is_noted) {
  EXPECT_THAT(notes_for({{1980, 0}, {1980, kHardwareSlowdown}, {1980, 0}}),
              ElementsAre(HasSubstr("held back")));
}

TEST(ClockWatch, without_readings_there_is_nothing_to_say) {
  EXPECT_THAT(notes_for({}), IsEmpty());
  ClockWatch unreadable([] { return std::optional<ClockState>(); });
  unreadable.observe();
  EXPECT_THAT(unreadable.notes(), IsEmpty());
  ClockWatch cpu(DeviceKind::kCpu);
  cpu.observe();
  EXPECT_THAT(cpu.notes(), IsEmpty());
}

}  // namespace
}  // namespace assay::harness
