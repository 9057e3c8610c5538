// SPDX-License-Identifier: Apache-2.0
// Candidates that are hostile or broken in one way each: every one ends as the outcome that is true of it,
// and the run goes on to its end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/candidates/door.hpp"

namespace assay::tests {
namespace {

using harness::Failed;
using harness::OutOfMemoryOutcome;
using harness::Passed;
using harness::Skipped;
using harness::TimedOut;
using harness::Wrong;
using testing::HasSubstr;

template <class Expected>
void expect_outcome(const Judged& judged, const std::string& reason) {
  ASSERT_TRUE(std::holds_alternative<Expected>(judged.row().outcome)) << judged.printed;
  EXPECT_THAT(std::get<Expected>(judged.row().outcome).reason, HasSubstr(reason));
  EXPECT_EQ(judged.exit_status, 1);
}

void expect_wrong(const Judged& judged, const std::string& check) {
  ASSERT_TRUE(std::holds_alternative<Wrong>(judged.row().outcome)) << judged.printed;
  EXPECT_EQ(std::get<Wrong>(judged.row().outcome).check, check) << judged.printed;
  EXPECT_EQ(judged.exit_status, 1);
}

TEST(HostileCandidates, a_segmentation_fault_is_named) {
  expect_outcome<Failed>(verify_small(hostile("segfault")),
                         "in a call, the process was ended by signal 11 (Segmentation fault)");
}
TEST(HostileCandidates, an_abort_is_named) {
  expect_outcome<Failed>(verify_small(hostile("aborts")), "signal 6 (Aborted)");
}
TEST(HostileCandidates, death_while_loading_is_named) {
  expect_outcome<Failed>(verify_small(hostile("dies_when_loaded")),
                         "while it was loaded, the process was ended by signal 9");
}
TEST(HostileCandidates, an_infinite_loop_ends_at_the_time_limit) {
  expect_outcome<TimedOut>(verify_small(hostile("infinite_loop"), "--time-limit 1"), "no answer within 1 s");
}
TEST(HostileCandidates, a_process_that_stops_itself_ends_at_the_time_limit) {
  expect_outcome<TimedOut>(verify_small(hostile("stops_itself"), "--time-limit 1"), "no answer within 1 s");
}
TEST(HostileCandidates, a_memory_hog_ends_at_the_memory_limit) {
  expect_outcome<OutOfMemoryOutcome>(verify_small(hostile("memory_hog"), "--memory-limit 400"),
                                     "--memory-limit allows 400 MiB");
}
TEST(HostileCandidates, shared_memory_counts) {
  expect_outcome<OutOfMemoryOutcome>(verify_small(hostile("hogs_shared_memory"), "--memory-limit 400"),
                                     "--memory-limit allows 400 MiB");
}
TEST(HostileCandidates, memory_of_processes_it_starts_counts) {
  expect_outcome<OutOfMemoryOutcome>(
      verify_small(hostile("hogs_in_another_process"), "--memory-limit 400 --time-limit 20"),
      "--memory-limit allows 400 MiB");
}
TEST(HostileCandidates, an_exit_in_the_middle_is_no_success) {
  expect_outcome<Failed>(verify_small(hostile("exits_in_the_middle")),
                         "exited with status 0 before it answered");
}
TEST(HostileCandidates, garbage_in_every_open_file_is_no_answer) {
  expect_outcome<Failed>(verify_small(hostile("writes_into_every_file")), "protocol: expected the answer to");
}
TEST(HostileCandidates, closed_files_are_no_answer) {
  const Judged judged = verify_small(hostile("closes_every_file"));
  ASSERT_TRUE(std::holds_alternative<Failed>(judged.row().outcome)) << judged.printed;
}
TEST(HostileCandidates, an_error_code_is_told_in_the_candidates_words) {
  expect_outcome<Failed>(verify_small(hostile("gives_up")), "assay_nf4_dequantize returned 3: not today");
}
TEST(HostileCandidates, a_library_of_another_abi_version_is_refused_with_both_numbers) {
  expect_outcome<Failed>(verify_small(hostile("of_another_version")),
                         "expected a library of ABI version 1, found 2");
}
TEST(HostileCandidates, a_library_without_the_function_is_skipped_and_nothing_ran_is_no_success) {
  expect_outcome<Skipped>(verify_small(hostile("exports_nothing_else")), "exports no assay_nf4_dequantize");
}

TEST(HostileCandidates, a_write_past_the_end_is_wrong) {
  expect_wrong(verify_small(hostile("writes_past_the_end")), "canary");
}
TEST(HostileCandidates, a_write_before_the_begin_is_wrong) {
  expect_wrong(verify_small(hostile("writes_before_the_begin")), "canary");
}
TEST(HostileCandidates, changed_inputs_are_wrong) {
  expect_wrong(verify_small(hostile("changes_its_inputs")), "input_mutated");
}
TEST(HostileCandidates, an_unwritten_tail_is_wrong) {
  expect_wrong(verify_small(hostile("leaves_the_tail")), "unwritten");
}
TEST(HostileCandidates, one_wrong_element_is_wrong) {
  expect_wrong(verify_small(hostile("one_element_is_wrong")), "parity");
}
TEST(HostileCandidates, an_answer_from_memory_is_wrong) {
  expect_wrong(verify_small(hostile("caches_its_answer")), "stale_input");
}
TEST(HostileCandidates, work_left_to_a_thread_is_wrong) {
  expect_wrong(verify_small(hostile("writes_late")), "late_write");
}

TEST(HostileCandidates, a_process_that_says_anything_but_an_answer_fails) {
  expect_outcome<Failed>(verify_small("cmd:" + python() + " " + source("garbage.py")),
                         "protocol: expected the answer to \"run\"");
}
TEST(HostileCandidates, a_line_without_an_end_fails) {
  expect_outcome<Failed>(verify_small("cmd:" + python() + " " + source("endless_line.py")), "without an end");
}
TEST(HostileCandidates, answers_sent_ahead_of_their_requests_fail) {
  expect_outcome<Failed>(verify_small("cmd:" + python() + " " + source("answers_ahead.py")),
                         "protocol: expected the answer to");
}
TEST(HostileCandidates, a_command_that_does_not_exist_fails_with_the_shells_words) {
  expect_outcome<Failed>(verify_small("cmd:./no_such_program"), "exited with status 127");
}

TEST(HostileCandidates, prints_of_a_library_are_no_answers) {
  const Judged judged = verify_small(hostile("talks"));
  EXPECT_TRUE(std::holds_alternative<Passed>(judged.row().outcome)) << judged.printed;
}

}  // namespace
}  // namespace assay::tests
