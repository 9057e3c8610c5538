// SPDX-License-Identifier: Apache-2.0
// Schedules with one thing wrong: each is rejected, by the check it is meant for.
#include "kernels/fsdp/schedule/check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/fsdp/schedule/generate.hpp"
#include "kernels/fsdp/schedule/lower.hpp"

namespace assay::kernels::fsdp {
namespace {

using testing::HasSubstr;

Schedule right() {
  return with_transfers(zb_h1(3, 6));
}

std::vector<Action>::iterator find(Schedule& schedule, int rank, const char* action) {
  auto& list = schedule.ranks.at(static_cast<std::size_t>(rank));
  const auto found = std::find(list.begin(), list.end(), parse_action(action));
  EXPECT_NE(found, list.end()) << action;
  return found;
}

void remove(Schedule& schedule, int rank, const char* action) {
  schedule.ranks[static_cast<std::size_t>(rank)].erase(find(schedule, rank, action));
}

void swap(Schedule& schedule, int rank, const char* one, const char* other) {
  std::iter_swap(find(schedule, rank, one), find(schedule, rank, other));
}

/// The first finding; every finding is of `check`.
std::string rejected_by(ScheduleCheck check, const Schedule& schedule, const ScheduleLimits& limits = {}) {
  const auto findings = check_schedule(schedule, limits);
  for (const auto& finding : findings) EXPECT_EQ(name_of(finding.check), name_of(check)) << finding.message;
  return findings.empty() ? "nothing found" : findings[0].message;
}

TEST(ScheduleCheck, the_schedule_that_the_mutants_start_from_is_right) {
  EXPECT_TRUE(check_schedule(right()).empty());
}

TEST(ScheduleCheck, a_missing_forward_backward_or_weight_gradient_is_incomplete) {
  for (const char* action : {"1F2", "1I5", "1W0"}) {
    Schedule mutant = right();
    remove(mutant, 1, action);
    EXPECT_THAT(rejected_by(ScheduleCheck::kComplete, mutant), HasSubstr("stage 1, microbatch"));
  }
}

TEST(ScheduleCheck, a_microbatch_passed_twice_is_not_complete_either) {
  Schedule mutant = right();
  mutant.ranks[2].push_back(parse_action("2W5"));
  EXPECT_THAT(rejected_by(ScheduleCheck::kComplete, mutant), HasSubstr("W 2"));
}

TEST(ScheduleCheck, a_stage_on_another_rank_is_misplaced) {
  Schedule mutant = right();
  mutant.ranks[0].push_back(parse_action("1W5"));
  EXPECT_THAT(rejected_by(ScheduleCheck::kPlacement, mutant), HasSubstr("expected it on rank 1"));
  mutant = right();
  mutant.ranks[0].push_back(parse_action("0F6"));
  EXPECT_THAT(rejected_by(ScheduleCheck::kPlacement, mutant), HasSubstr("6 microbatches"));
  mutant = right();
  mutant.ranks[2].push_back(parse_action("2SEND_F0"));
  EXPECT_THAT(rejected_by(ScheduleCheck::kPlacement, mutant), HasSubstr("end of the pipeline"));
}

TEST(ScheduleCheck, a_weight_gradient_before_its_input_gradient_is_out_of_order) {
  Schedule mutant = right();
  swap(mutant, 1, "1I3", "1W3");
  EXPECT_THAT(rejected_by(ScheduleCheck::kOrder, mutant), HasSubstr("1W3: expected 1I3 before it"));
}

TEST(ScheduleCheck, a_send_before_its_compute_and_a_receive_behind_its_use_are_out_of_order) {
  Schedule mutant = right();
  swap(mutant, 0, "0F1", "0SEND_F1");
  EXPECT_THAT(rejected_by(ScheduleCheck::kOrder, mutant), HasSubstr("0SEND_F1: expected 0F1 before it"));
  mutant = right();
  swap(mutant, 1, "1F1", "1RECV_F1");
  EXPECT_THAT(rejected_by(ScheduleCheck::kOrder, mutant), HasSubstr("1F1: expected 1RECV_F1 before it"));
}

TEST(ScheduleCheck, a_gradient_used_before_its_recomputation_is_out_of_order) {
  Schedule mutant = with_transfers(with_recompute(one_f_one_b(2, 4)));
  swap(mutant, 1, "1R2", "1B2");
  EXPECT_THAT(rejected_by(ScheduleCheck::kOrder, mutant), HasSubstr("1B2: expected 1R2 before it"));
}

TEST(ScheduleCheck, stages_of_one_rank_take_their_turn) {
  Schedule mutant = with_transfers(zbv(2, 4));
  swap(mutant, 1, "1F0", "2F0");  // the turn of the V
  EXPECT_THAT(rejected_by(ScheduleCheck::kOrder, mutant), HasSubstr("2F0: expected 1F0 before it"));
}

TEST(ScheduleCheck, a_missing_send_or_receive_is_a_transfer_error) {
  Schedule mutant = right();
  remove(mutant, 0, "0SEND_F3");
  EXPECT_THAT(rejected_by(ScheduleCheck::kTransfers, mutant), HasSubstr("0SEND_F3 once, found it 0 times"));
  mutant = right();
  remove(mutant, 1, "1RECV_B3");
  EXPECT_THAT(rejected_by(ScheduleCheck::kTransfers, mutant), HasSubstr("1RECV_B3 once"));
}

TEST(ScheduleCheck, swapped_sends_are_a_transfer_error) {
  Schedule mutant = right();
  swap(mutant, 2, "2SEND_B0", "2SEND_B1");
  rejected_by(ScheduleCheck::kOrder, mutant);  // sent before it was made
  mutant = with_transfers(gpipe(2, 2));
  auto& list = mutant.ranks[0];
  list = {parse_action("0F0"), parse_action("0F1"), parse_action("0SEND_F1"), parse_action("0SEND_F0")};
  for (const char* rest : {"0RECV_B0", "0B0", "0RECV_B1", "0B1"}) list.push_back(parse_action(rest));
  EXPECT_THAT(rejected_by(ScheduleCheck::kTransfers, mutant), HasSubstr("found 0SEND_F1 and 1RECV_F0"));
}

TEST(ScheduleCheck, a_cyclic_wait_is_a_deadlock_and_names_who_waits_for_whom) {
  Schedule mutant = with_transfers(gpipe(2, 2));
  auto& list = mutant.ranks[0];
  list.clear();  // asks for the first gradient before it sent the second activation
  for (const char* action : {"0F0", "0SEND_F0", "0F1", "0RECV_B0", "0SEND_F1", "0B0", "0RECV_B1", "0B1"})
    list.push_back(parse_action(action));
  const std::string message = rejected_by(ScheduleCheck::kDeadlock, mutant);
  EXPECT_THAT(message, HasSubstr("rank 0 waits in 0RECV_B0 for rank 1"));
  EXPECT_THAT(message, HasSubstr("rank 1 waits in 1RECV_F1 for rank 0"));
}

TEST(ScheduleCheck, a_channel_too_narrow_for_the_schedule_is_a_deadlock) {
  // Rank 0 takes no gradient before its last activation is away, rank 1 no further activation before its
  // gradient is.
  Schedule mixed = gpipe(2, 4);
  mixed.ranks[1] = one_f_one_b(2, 4).ranks[1];
  const Schedule schedule = with_transfers(mixed);
  EXPECT_TRUE(check_schedule(schedule, {.channel_capacity = 2}).empty());
  EXPECT_THAT(rejected_by(ScheduleCheck::kDeadlock, schedule, {.channel_capacity = 1}),
              HasSubstr("rank 0 waits in 0SEND_F3 for rank 1; rank 1 waits in 1SEND_B1 for rank 0"));
}

TEST(ScheduleCheck, more_forwards_ahead_than_memory_allows_are_rejected) {
  const ScheduleLimits limits{.channel_capacity = 1, .most_held = 3};
  EXPECT_TRUE(check_schedule(right(), limits).empty());
  EXPECT_THAT(rejected_by(ScheduleCheck::kMemory, with_transfers(gpipe(3, 6)), limits),
              HasSubstr("at most 3 microbatches kept, found 6"));
}

}  // namespace
}  // namespace assay::kernels::fsdp
