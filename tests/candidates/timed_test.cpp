// SPDX-License-Identifier: Apache-2.0
// Candidates that are right when they are verified and cheat when they are timed, and what a candidate leaves
// behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/candidates/door.hpp"

namespace assay::tests {
namespace {

using harness::Passed;
using harness::Wrong;
using testing::HasSubstr;

/// Verified and timed on one case of four million weights, as briefly as it goes.
Judged run_timed(const std::string& candidate) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("assay_door_board_" + std::to_string(::getpid()));
  const Judged judged = judge("run nf4/dequantize/4096x1024 --device cpu --budget 0.05 --report " +
                              folder.string() + " --candidate '" + candidate + "'");
  std::filesystem::remove_all(folder);
  return judged;
}

void expect_wrong_when_timed(const std::string& candidate) {
  const Judged judged = run_timed(candidate);
  ASSERT_TRUE(std::holds_alternative<Wrong>(judged.row().outcome)) << judged.printed;
  EXPECT_EQ(std::get<Wrong>(judged.row().outcome).check, "timed_output") << judged.printed;
}

TEST(TimedCandidates, calls_that_do_nothing_once_they_are_timed_are_wrong) {
  expect_wrong_when_timed(hostile("idles_when_timed"));
}
TEST(TimedCandidates, answers_from_memory_once_they_are_timed_are_wrong) {
  expect_wrong_when_timed(hostile("caches_when_timed"));
}
TEST(TimedCandidates, work_left_to_a_thread_once_it_is_timed_is_wrong) {
  expect_wrong_when_timed(hostile("late_when_timed"));
}

TEST(TimedCandidates, work_done_before_the_clock_starts_is_wrong) {
  if (!python_has_numpy())
    GTEST_SKIP() << "this Python has no numpy: pip install numpy";
  expect_wrong_when_timed("cmd:" + python() + " " + source("works_ahead.py"));
}

TEST(TimedCandidates, a_clock_that_stands_still_changes_no_time) {
  const Judged judged = run_timed(hostile("stops_the_clock"));
  const auto* passed = std::get_if<Passed>(&judged.row().outcome);
  ASSERT_NE(passed, nullptr) << judged.printed;
  EXPECT_GE(passed->timings.front().candidate_ns, 20e6);  // it sleeps that long in each call
}

TEST(TimedCandidates, the_example_is_timed_against_the_baseline_by_the_judges_clock) {
  const Judged judged = run_timed(hostile("nf4_candidate"));
  const auto* passed = std::get_if<Passed>(&judged.row().outcome);
  ASSERT_NE(passed, nullptr) << judged.printed;
  EXPECT_EQ(judged.exit_status, 0);
  ASSERT_EQ(passed->timings.size(), 1u);
  EXPECT_EQ(passed->timings.front().baseline, "cpu_scalar");
  EXPECT_TRUE(passed->timings.front().speedup.has_value());
  EXPECT_TRUE(passed->memory.has_value());
  EXPECT_EQ(judged.row().target_mode, "outside");
  EXPECT_EQ(judged.row().provenance.sources_sha256.size(), 64u);
}

TEST(TimedCandidates, the_same_implementation_on_both_sides_takes_the_same_time) {
  // Three tries, as ctest runs other tests beside this one.
  double ratio = 0;
  for (int i = 0; i < 3 && !(ratio > 0.97 && ratio < 1.03); ++i) {
    const Judged judged = run_timed("cmd:" + program() + " serve-candidate --implementation cpu_scalar");
    const auto* passed = std::get_if<Passed>(&judged.row().outcome);
    ASSERT_NE(passed, nullptr) << judged.printed;
    ratio = passed->timings.front().speedup->median;
  }
  EXPECT_NEAR(ratio, 1.0, 0.03);
}

TEST(TimedCandidates, memory_that_a_call_takes_for_itself_is_seen) {
  constexpr std::int64_t kTaken = std::int64_t{64} << 20;
  const Judged judged = run_timed(hostile("takes_temporaries"));
  const auto* passed = std::get_if<Passed>(&judged.row().outcome);
  ASSERT_NE(passed, nullptr) << judged.printed;
  EXPECT_NEAR(static_cast<double>(passed->memory->peak_bytes), static_cast<double>(kTaken), 0.05 * kTaken);
  EXPECT_LT(*passed->memory->baseline_peak_bytes, kTaken / 16);
}

TEST(TimedCandidates, bench_shows_a_cheat_as_an_error_and_no_time) {
  const std::string text =
      printed_by("bench nf4/dequantize/4096x1024 --device cpu --benchmark_min_time=0.01 --candidate " +
                 hostile("idles_when_timed"));
  EXPECT_THAT(text, HasSubstr("timed_output"));
}

/// The process that `library` starts and leaves is gone, or dead and not yet buried, when the row has ended.
void expect_nothing_left(const std::string& library) {
  const auto file = std::filesystem::temp_directory_path() / ("assay_door_pid_" + std::to_string(::getpid()));
  ::setenv("ASSAY_TEST_PID_FILE", file.c_str(), 1);
  const Judged judged = verify_small(hostile(library));
  EXPECT_TRUE(std::holds_alternative<Passed>(judged.row().outcome)) << judged.printed;
  pid_t left = 0;
  std::ifstream(file) >> left;
  std::filesystem::remove(file);
  ASSERT_GT(left, 0);
  std::string number, name, state = "gone";
  for (int tries = 0; tries < 100; ++tries, ::usleep(10'000)) {
    state = "gone";
    std::ifstream("/proc/" + std::to_string(left) + "/stat") >> number >> name >> state;
    if (state != "S")
      break;
  }
  EXPECT_THAT(state, testing::AnyOf("gone", "Z", "X"));
}

TEST(TimedCandidates, no_process_of_a_candidate_outlives_its_row) {
  expect_nothing_left("leaves_a_process");
}
TEST(TimedCandidates, a_process_in_a_session_of_its_own_does_not_either) {
  expect_nothing_left("sends_a_process_away");
}

}  // namespace
}  // namespace assay::tests
