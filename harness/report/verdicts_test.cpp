// SPDX-License-Identifier: Apache-2.0
#include "harness/report/verdicts.hpp"

#include <gtest/gtest.h>

#include "harness/record/testing.hpp"

namespace assay::harness::report {
namespace {

Record timed(const std::string& name, const std::string& case_name, Interval speedup) {
  Record record = testing::passed_record(name, case_name);
  testing::passed(record).timings = {testing::timing(TimeMode::kGraph, speedup, 1000, 1500)};
  return record;
}

ChallengeBoard board_of(const std::vector<Record>& records) {
  return make_board({records, {}}, {}, {}).devices.at(0).challenges.at(0);
}

const Interval kFaster{1.5, 1.45, 1.55, 0.95, 64}, kSlower{0.8, 0.75, 0.85, 0.95, 64},
    kUnclear{1.1, 0.9, 1.3, 0.95, 64};

TEST(ChallengeVerdict, is_that_of_the_candidate_whose_interval_starts_highest) {
  const auto verdict =
      challenge_verdict(board_of({timed("a", "64x64/bf16", kUnclear), timed("b", "64x64/bf16", kFaster)}));
  EXPECT_EQ(verdict.word, "better");
  EXPECT_EQ(verdict.better, 1u);
  EXPECT_EQ(verdict.unresolved, 0u);
  EXPECT_EQ(speedup_range(verdict), "1.50x in 1 case");
}

TEST(ChallengeVerdict, faster_here_and_slower_there_is_mixed) {
  const auto verdict =
      challenge_verdict(board_of({timed("a", "64x64/bf16", kFaster), timed("a", "9x9/bf16", kSlower)}));
  EXPECT_EQ(verdict.word, "mixed");
  EXPECT_EQ(speedup_range(verdict), "0.80x to 1.50x in 2 cases");
}

TEST(ChallengeVerdict, one_candidate_that_is_wrong_speaks_for_the_challenge) {
  Record wrong = testing::record_with(Wrong{"parity", "3 differ", Parity{}});
  wrong.implementation = "broken";
  const auto verdict = challenge_verdict(board_of({timed("a", "64x64/bf16", kFaster), wrong}));
  EXPECT_EQ(verdict.word, "wrong");
  EXPECT_EQ(verdict.tone, "bad");
  EXPECT_EQ(verdict.failed, 1u);
}

TEST(ChallengeVerdict, without_times_what_passed_is_verified) {
  Record record = testing::passed_record();
  testing::passed(record).timings.clear();
  EXPECT_EQ(challenge_verdict(board_of({record})).word, "verified");
  EXPECT_EQ(challenge_verdict(board_of({testing::record_with(Skipped{"no GPU"})})).word, "nothing ran");
}

TEST(ChallengeVerdict, older_sources_are_said) {
  const Board board =
      make_board({{timed("a", "64x64/bf16", kFaster)}, {}}, {}, {{{"example/copy", "a"}, "newer sources"}});
  const auto verdict = challenge_verdict(board.devices.at(0).challenges.at(0));
  EXPECT_EQ(verdict.word, "better, stale");
  EXPECT_EQ(verdict.tone, "");
}

TEST(ChallengeVerdict, current_sources_speak_before_older_ones) {
  const Board board = make_board(
      {{timed("slower", "64x64/bf16", {1.2, 1.15, 1.25, 0.95, 64}), timed("faster", "64x64/bf16", kFaster)},
       {}},
      {}, {{{"example/copy", "faster"}, "newer sources"}});
  const auto verdict = challenge_verdict(board.devices.at(0).challenges.at(0));
  EXPECT_EQ(verdict.word, "better");
  EXPECT_EQ(speedup_range(verdict), "1.20x in 1 case");
}

TEST(ChallengeVerdict, without_cases_checks_speak) {
  Check passed = testing::check_with("one", "{}"), wrong = testing::check_with("two", "{}", "wrong");
  passed.challenge = wrong.challenge = "example/step";
  const Board board = make_board({{}, {passed, wrong}}, {}, {});
  EXPECT_EQ(without_cases(board.devices.at(0)), std::vector<std::string>{"example/step"});
  const auto verdict = checks_verdict(board.devices.at(0), "example/step");
  EXPECT_EQ(verdict.word, "wrong");
  EXPECT_EQ(rows_text(verdict), "1 passed, 1 did not");
}

TEST(ChallengeVerdict, baselines_and_peers_have_no_say) {
  Record peer = timed("peer", "64x64/bf16", kFaster);
  peer.role = Role::kPeer;
  EXPECT_EQ(challenge_verdict(board_of({timed("a", "64x64/bf16", kSlower), peer})).word, "worse");
}

TEST(PeerRange, is_over_the_fastest_peer_through_the_baseline_of_both) {
  Record slow = timed("slow_peer", "64x64/bf16", kSlower),
         fast = timed("fast_peer", "64x64/bf16", {2, 1.9, 2.1});
  Record other = timed("slow_peer", "9x9/bf16", {1.0, 0.95, 1.05});
  slow.role = fast.role = other.role = Role::kPeer;
  const std::vector<Record> records = {timed("a", "64x64/bf16", kFaster), timed("a", "9x9/bf16", kFaster),
                                       slow, fast, other};
  EXPECT_EQ(peer_range(board_of(records)), "0.75x to 1.50x in 2 cases, behind in 1");
  EXPECT_EQ(peer_range(board_of({timed("a", "64x64/bf16", kFaster)})), "");
  testing::passed(fast).timings[0].baseline = "another";
  EXPECT_EQ(peer_range(board_of({timed("a", "64x64/bf16", kFaster), fast})), "") << "paired with another";
}

TEST(MemoryRange, is_over_the_baselines_that_take_memory) {
  Record small = timed("a", "64x64/bf16", kFaster), none = timed("a", "9x9/bf16", kFaster);
  testing::passed(none).memory->baseline_peak_bytes = 0;
  EXPECT_EQ(memory_range(board_of({small, none})), "0.25x");
}

}  // namespace
}  // namespace assay::harness::report
