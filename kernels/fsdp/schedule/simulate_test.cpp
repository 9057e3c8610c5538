// SPDX-License-Identifier: Apache-2.0
// Bubbles against numbers computed by hand from the papers' formulas, and timelines drawn on paper.
#include "kernels/fsdp/schedule/simulate.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/fsdp/schedule/generate.hpp"
#include "kernels/fsdp/schedule/lower.hpp"

namespace assay::kernels::fsdp {
namespace {

/// In units of a whole rank's forward: a stage of one of `chunks` costs 1 / chunks.
StageCosts costs(int stages, int chunks, double weight, double recompute = 0) {
  return {.forward = 1,
          .input = 1,
          .weight = weight,
          .recompute = recompute,
          .scale = std::vector<double>(static_cast<std::size_t>(stages), 1.0 / chunks)};
}

double bubble_percent(const Schedule& schedule, double weight, double recompute = 0, int capacity = 2) {
  const int chunks = schedule.stages() / schedule.world();
  const StageCosts each = costs(schedule.stages(), chunks, weight, recompute);
  return 100 * simulate(with_transfers(schedule), each, capacity).bubble_over_ideal();
}

TEST(Simulate, a_timeline_drawn_by_hand) {
  // F 1, B 3, transfer 0.5: rank 1 has its input at 1.5, its gradient leaves at 5.5; rank 0's B0 runs 6 to 9.
  const Timeline timeline = simulate(with_transfers(one_f_one_b(2, 1)), {.input = 2, .transfer = 0.5});
  EXPECT_DOUBLE_EQ(timeline.makespan, 9.0);
  EXPECT_DOUBLE_EQ(timeline.busy[0], 4.0);
  EXPECT_DOUBLE_EQ(timeline.busy[1], 4.0);
  EXPECT_DOUBLE_EQ(timeline.idle_fraction(), 1 - 8.0 / 18.0);
  const Timed wait = timeline.events[2];
  EXPECT_EQ(text_of(wait.action), "0RECV_B0");
  EXPECT_DOUBLE_EQ(wait.begin, 1.0);
  EXPECT_DOUBLE_EQ(wait.end, 6.0);
}

TEST(Simulate, gpipe_and_1f1b_idle_p_minus_1_of_m_plus_p_minus_1) {
  for (int p = 1; p <= 8; ++p)
    for (int m = p; m <= 32; m += p) {
      const double formula = (p - 1.0) / (m + p - 1.0);
      EXPECT_NEAR(simulate(with_transfers(gpipe(p, m)), {}).idle_fraction(), formula, 1e-12);
      EXPECT_NEAR(simulate(with_transfers(one_f_one_b(p, m)), {}).idle_fraction(), formula, 1e-12);
    }
}

TEST(Simulate, interleaving_divides_the_bubble_by_the_chunks) {
  for (int p = 2; p <= 8; ++p)
    for (int chunks = 1; chunks <= 4; ++chunks)
      EXPECT_NEAR(bubble_percent(interleaved_1f1b(p, 4 * p, chunks), 1), 100 * (p - 1.0) / (chunks * 4 * p),
                  1e-9)
          << p << " ranks, " << chunks << " chunks";
}

TEST(Simulate, zb_h1_leaves_a_third_of_1f1b) {
  for (int p = 2; p <= 8; ++p)
    EXPECT_NEAR(bubble_percent(zb_h1(p, 4 * p), 1), 100 * (p - 1.0) / (3 * 4 * p), 1e-9) << p << " ranks";
}

TEST(Simulate, zbv_idles_only_until_the_last_rank_starts) {
  // (p - 1) forwards of half a rank's work, of 3m.
  for (int p = 2; p <= 8; ++p)
    EXPECT_NEAR(bubble_percent(zbv(p, 4 * p), 1), 100 * (p - 1.0) / 2 / (3 * 4 * p), 1e-9) << p << " ranks";
}

TEST(Simulate, frozen_weights_leave_zb_h1_almost_nothing_to_fill_with) {
  EXPECT_NEAR(bubble_percent(one_f_one_b(2, 8), 0.005), 12.5, 1e-9);
  EXPECT_NEAR(bubble_percent(zb_h1(2, 8), 0.005), 100 * (2 - 0.005) / (8 * 2.005), 1e-9);  // 12.4
}

TEST(Simulate, recompute_hoisted_into_the_bubble_cuts_a_third) {
  for (const auto& [p, m] : {std::pair{2, 8}, {4, 16}, {8, 32}}) {
    const double fused = bubble_percent(one_f_one_b(p, m), 0, 1);
    EXPECT_NEAR(fused, 100 * (p - 1.0) / m, 1e-9);
    EXPECT_NEAR(bubble_percent(with_recompute(one_f_one_b(p, m)), 0, 1), fused * 2 / 3, 1e-9);
  }
}

TEST(Simulate, what_lora_leaves_of_every_schedule_is_what_the_research_note_derived) {
  // Percent over ideal: full fine-tuning (F = I = W); LoRA (W 0); LoRA with recompute fused into I; hoisted
  // out of it.
  struct Row {
    Schedule schedule;
    double full, lora, fused, hoisted;  ///< hoisted 0: not in the note
  };
  const Row rows[] = {{zb_h1(2, 8), 4.2, 12.5, 12.5, 0},
                      {zb_h1(4, 16), 6.2, 18.75, 18.75, 0},
                      {one_f_one_b(2, 8), 12.5, 12.5, 12.5, 8.3},
                      {one_f_one_b(4, 16), 18.8, 18.8, 18.8, 12.5},
                      {interleaved_1f1b(2, 8, 2), 6.2, 6.3, 6.3, 4.2},
                      {interleaved_1f1b(4, 16, 2), 9.4, 9.4, 9.4, 6.2},
                      {zbv(2, 8), 2.1, 6.2, 8.3, 4.1},
                      {zbv(4, 16), 3.1, 9.3, 12.4, 6.2}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.schedule.name + " on " + std::to_string(row.schedule.world()));
    EXPECT_NEAR(bubble_percent(row.schedule, 1), row.full, 0.11);
    EXPECT_NEAR(bubble_percent(row.schedule, 0), row.lora, 0.11);
    EXPECT_NEAR(bubble_percent(row.schedule, 0, 1), row.fused, 0.11);
    if (row.hoisted > 0) {
      EXPECT_NEAR(bubble_percent(with_recompute(row.schedule), 0, 1), row.hoisted, 0.11);
    }
  }
}

TEST(Simulate, channels_of_one_message_cost_the_interleaved_schedule_a_third_more_bubble) {
  const Schedule schedule = with_recompute(interleaved_1f1b(4, 16, 2));
  EXPECT_NEAR(bubble_percent(schedule, 0, 1, 2), 6.25, 1e-9);
  EXPECT_NEAR(bubble_percent(schedule, 0, 1, 1), 100.0 / 12, 1e-9);
}

TEST(Simulate, an_unequal_stage_is_what_everyone_waits_for) {
  StageCosts costs;
  costs.scale = {1, 2};
  const Timeline timeline = simulate(with_transfers(one_f_one_b(2, 4)), costs);
  EXPECT_DOUBLE_EQ(timeline.busy[1], 24.0);
  EXPECT_DOUBLE_EQ(timeline.makespan, 1 + 24 + 2);
}

TEST(Simulate, narrow_channels_make_the_sender_wait) {
  StageCosts costs;
  costs.scale = {0.1, 1};
  const auto schedule = with_transfers(gpipe(2, 4));
  const Timeline narrow = simulate(schedule, costs, 1), wide = simulate(schedule, costs, 8);
  const auto last_forward = [](const Timeline& timeline) {
    double end = 0;
    for (const Timed& event : timeline.events)
      if (event.action.kind == ActionKind::kForward && event.rank == 0)
        end = event.end;
    return end;
  };
  EXPECT_NEAR(last_forward(wide), 0.4, 1e-12);
  EXPECT_GT(last_forward(narrow), 1.0);
}

TEST(Simulate, costs_and_schedules_that_make_no_time_are_refused) {
  const auto schedule = with_transfers(gpipe(2, 2));
  EXPECT_THROW(simulate(schedule, {.forward = -1}), std::invalid_argument);
  EXPECT_THROW(simulate(schedule, {.scale = {1.0}}), std::invalid_argument);
  EXPECT_THROW(simulate(schedule, {}, 0), std::invalid_argument);
  auto stuck = schedule;
  stuck.ranks[1].clear();
  EXPECT_THROW(simulate(stuck, {}), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
