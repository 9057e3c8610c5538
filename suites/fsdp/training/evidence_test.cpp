// SPDX-License-Identifier: Apache-2.0
// What reports of ranks show, on reports made by hand.
#include "suites/fsdp/training/evidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace assay::suites::fsdp {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

/// Losses that fall from 4 to 0.1, adapters that moved by 5; `off` is added to every loss and element.
TrainedRun run_with(double off, int steps = kLeastSteps) {
  TrainedRun run{.start = {0, 0}, .end = {3 + static_cast<float>(off), 4}};
  for (int i = 0; i < steps; ++i) run.losses.push_back(4 - 3.9 * i / steps + off);
  return run;
}
const std::vector<TrainedRun> kOrders = {run_with(0), run_with(1e-3), run_with(-1e-3)};

std::string faults(const Json& evidence) {
  return evidence.at("faults").dump();
}

TEST(TrainingEvidence, apart_is_the_root_mean_square_of_losses_and_relative_to_how_far_adapters_moved) {
  const Apart far = apart(run_with(0), run_with(0.5));
  EXPECT_NEAR(far.loss, 0.5, 1e-12);
  EXPECT_NEAR(far.adapters, 0.1, 1e-6);
}

TEST(TrainingEvidence, a_plan_within_twice_the_band_passes_and_one_beyond_is_named) {
  const Json good = sharded_loss_evidence(kOrders, {{"shard on 2 ranks", 2, run_with(3.9e-3)}});
  EXPECT_EQ(faults(good), "[]");
  EXPECT_NEAR(good.at("band").at("loss").get<double>(), 2e-3, 1e-9);
  EXPECT_EQ(good.at("matches"), Json(true));
  const Json bad = sharded_loss_evidence(kOrders, {{"shard on 2 ranks", 2, run_with(4.1e-3)}});
  EXPECT_THAT(faults(bad), HasSubstr("shard on 2 ranks: losses within"));
  EXPECT_THAT(faults(bad), HasSubstr("shard on 2 ranks: adapters within"));
  EXPECT_EQ(bad.at("matches"), Json(false));
}

TEST(TrainingEvidence, numbers_that_are_none_missing_steps_and_adapters_that_did_not_move_do_not_pass) {
  TrainedRun nan = run_with(0), fewer = run_with(0, kLeastSteps - 1), still = run_with(0);
  nan.losses[7] = std::numeric_limits<double>::quiet_NaN();
  for (const TrainedRun& run : {nan, fewer})
    EXPECT_THAT(faults(sharded_loss_evidence(kOrders, {{"plan", 2, run}})), HasSubstr("found inf"));
  still.end = still.start;
  EXPECT_FALSE(sharded_loss_evidence({still, still}, {{"plan", 2, still}}).at("faults").empty());
}

TEST(TrainingEvidence, few_steps_a_loss_that_stays_and_a_band_of_nothing_or_of_everything_show_nothing) {
  const auto with = [](const std::vector<TrainedRun>& orders) {
    return faults(sharded_loss_evidence(orders, {{"plan", 2, orders.front()}}));
  };
  EXPECT_THAT(with({run_with(0, 20), run_with(1e-3, 20)}), HasSubstr("expected 60 steps, found 20"));
  EXPECT_THAT(with({run_with(0), run_with(0)}), HasSubstr("orders of sums apart"));
  EXPECT_THAT(with({run_with(0), run_with(2)}), HasSubstr("orders of sums apart"));
  EXPECT_THAT(with({run_with(1000), run_with(1000.001)}), HasSubstr("falls by a tenth"));
  EXPECT_THAT(faults(sharded_loss_evidence(kOrders, {})), HasSubstr("expected a plan"));
  EXPECT_THROW(sharded_loss_evidence({run_with(0)}, {}), std::invalid_argument);
}

/// Two ranks that did as planned.
PlannedRun counted(const RunPlan& plan) {
  const PlannedCollectives planned = planned_collectives(plan, 2);
  RankReport rank{.before = planned.before, .first_step = planned.first_step};
  for (int i = 1; i < plan.steps; ++i) {
    rank.later_steps.layer_gathers += planned.later_step.layer_gathers;
    rank.later_steps.all_gathers += planned.later_step.all_gathers;
    rank.later_steps.all_reduces += planned.later_step.all_reduces;
    rank.later_steps.reduce_scatters += planned.later_step.reduce_scatters;
  }
  PlannedRun run{.name = "shard", .plan = plan, .ranks = {rank, rank}};
  run.ranks[1].rank = 1;
  return run;
}

TEST(CollectivesEvidence, gathers_follow_from_layers_and_buffers) {
  EXPECT_EQ(planned_collectives({.buffers = 2}, 2).first_step.layer_gathers, 6);
  EXPECT_EQ(planned_collectives({.buffers = 2}, 2).later_step.layer_gathers, 4);
  EXPECT_EQ(planned_collectives({.buffers = kLayers}, 4).later_step.layer_gathers, 0);
  EXPECT_EQ(planned_collectives({.gather_ranks = 1}, 4).first_step.layer_gathers, 0);
  EXPECT_EQ(planned_collectives({}, 1).first_step.layer_gathers, 0);
}

TEST(CollectivesEvidence, one_more_or_one_less_on_one_rank_is_named) {
  const PlannedRun good = counted({.steps = 3});
  EXPECT_EQ(faults(collectives_evidence({good})), "[]");
  PlannedRun more = good, fewer = good;
  more.ranks[1].later_steps.all_reduces += 1;
  fewer.ranks[0].first_step.layer_gathers -= 1;
  EXPECT_THAT(faults(collectives_evidence({more})), HasSubstr("shard, rank 1: in all later steps"));
  EXPECT_THAT(faults(collectives_evidence({fewer})), HasSubstr("shard, rank 0: in the first step"));
  EXPECT_THAT(faults(collectives_evidence({})), HasSubstr("expected a plan"));
}

TEST(MemoryEvidence, bytes_other_than_planned_and_more_than_a_share_are_named) {
  PlannedRun run = counted({});
  for (RankReport& rank : run.ranks) rank.planned = rank.found = {100, 50, 20, 10}, rank.packed_limit = 100;
  EXPECT_EQ(faults(memory_evidence({run})), "[]");
  run.ranks[1].found.vocabulary = 21;
  EXPECT_THAT(faults(memory_evidence({run})), HasSubstr("shard, rank 1: resident bytes"));
  run.ranks[1].found = run.ranks[1].planned;
  run.ranks[0].packed_limit = 99;
  EXPECT_THAT(faults(memory_evidence({run})), HasSubstr("rank 0: packed bytes within its share of 99"));
}

TEST(ResumeEvidence, one_bit_of_a_loss_or_an_adapter_and_a_missing_step_are_seen) {
  ResumedRun run{.world = 2, .saved_after = 40, .whole = run_with(0), .resumed = run_with(0)};
  run.resumed.losses.erase(run.resumed.losses.begin(), run.resumed.losses.begin() + 40);
  EXPECT_EQ(faults(resume_evidence({run})), "[]");
  ResumedRun loss = run, adapter = run, shorter = run;
  loss.resumed.losses[3] = std::nextafter(loss.resumed.losses[3], 9.0);
  adapter.resumed.end[0] = std::nextafter(adapter.resumed.end[0], 9.0f);
  shorter.resumed.losses.pop_back();
  for (const ResumedRun& wrong : {loss, adapter, shorter})
    EXPECT_THAT(faults(resume_evidence({wrong})), HasSubstr("bit for bit"));
}

TEST(Evidence, with_faults_is_no_evidence) {
  EXPECT_EQ(without_faults({{"steps", 60}, {"faults", Json::array()}}), R"({"steps":60,"faults":[]})");
  EXPECT_THROW(without_faults({{"faults", {"expected more"}}}), std::runtime_error);
}

}  // namespace
}  // namespace assay::suites::fsdp
