// SPDX-License-Identifier: Apache-2.0
// Axes, marks, labels and roofs, placed by hand.
#include "harness/report/scatter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "harness/record/testing.hpp"
#include "harness/report/axis.hpp"
#include "harness/report/memory_chart.hpp"
#include "harness/report/roofline.hpp"

namespace assay::harness::report {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

TEST(Axis, puts_its_ends_at_its_ends) {
  const Axis linear{.low = 0, .high = 10, .from = 300, .to = 100};
  EXPECT_DOUBLE_EQ(linear.at(0), 300);
  EXPECT_DOUBLE_EQ(linear.at(5), 200);
  const Axis logarithmic{.low = 1, .high = 100, .logarithmic = true, .from = 0, .to = 1};
  EXPECT_DOUBLE_EQ(logarithmic.at(10), 0.5);
}

TEST(Axis, ticks_are_round_and_few) {
  EXPECT_THAT(round_ticks({.low = 0, .high = 40}), ElementsAre(0, 5, 10, 15, 20, 25, 30, 35, 40));
  EXPECT_THAT(round_ticks({.low = 0.5, .high = 2000, .logarithmic = true}), ElementsAre(1, 10, 100, 1000));
  EXPECT_GE(round_ticks({.low = 95, .high = 130, .logarithmic = true}).size(), 2u);
}

TEST(Axis, long_figures_have_a_unit) {
  EXPECT_EQ(tick_text(800), "800");
  EXPECT_EQ(tick_text(1200), "1200");
  EXPECT_EQ(tick_text(15000), "15 k");
  EXPECT_EQ(tick_text(2.5e9), "2.5 G");
  EXPECT_EQ(tick_text(round_ticks({.low = 0, .high = 40}).front()), "0") << "no sign";
}

TEST(Spread, leaves_room_and_moves_no_more_than_it_must) {
  EXPECT_THAT(spread({10, 40}, 16, 0), ElementsAre(10, 40));
  EXPECT_THAT(spread({20, 20}, 16, 0), ElementsAre(12, 28));
  EXPECT_THAT(spread({30, 20, 100}, 16, 0), ElementsAre(33, 17, 100));
  EXPECT_THAT(spread({2, 2, 20}, 16, 0), ElementsAre(0, 16, 32)) << "nothing above the top";
  EXPECT_THAT(spread({}, 16, 0), IsEmpty());
}

TEST(Scatter, marks_tell_roles_apart_and_nothing_draws_nothing) {
  Scatter scatter{.name = "n", .x_title = "x", .y_title = "y", .points = {}, .lines = {}};
  EXPECT_EQ(scatter_chart(scatter), "");
  scatter.points = {{.x = 1, .y = 2, .label = "ours <b>", .about = "about"},
                    {.x = 2, .y = 1, .label = "", .about = "peer", .role = Role::kPeer},
                    {.x = 3, .y = 1, .label = "", .about = "base", .role = Role::kBaseline}};
  const std::string chart = scatter_chart(scatter);
  EXPECT_THAT(chart, HasSubstr("<circle"));
  EXPECT_THAT(chart, HasSubstr("class=\"peer\""));
  EXPECT_THAT(chart, HasSubstr("<rect"));
  EXPECT_THAT(chart, HasSubstr("ours &lt;b&gt;"));
}

TEST(Scatter, what_cannot_be_drawn_is_refused) {
  Scatter scatter{.log_y = true, .points = {{.x = 1, .y = 0, .label = "", .about = ""}}, .lines = {}};
  EXPECT_THROW(scatter_chart(scatter), std::invalid_argument);
  scatter.points[0].y = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(scatter_chart(scatter), std::invalid_argument);
}

ChallengeBoard challenge_of(Record record) {
  return make_board({{std::move(record)}, {}}, {}, {}).devices.at(0).challenges.at(0);
}

TEST(Roofline, a_row_stands_at_its_intensity_under_slope_and_roof) {
  Record record = testing::passed_record();
  testing::passed(record).work = WorkDone{1'000'000, 400'000'000, "matmul_bf16_tflops", 800, 400, 0.5};
  testing::passed(record).timings[0].candidate_ns = 1000;  // 4e8 flops in 1 µs: 400 TFLOP/s
  const Scatter scatter =
      roofline(challenge_of(record), {{"copy_gbps", 4000.0}, {"matmul_bf16_tflops", 800.0}});
  ASSERT_EQ(scatter.points.size(), 1u);
  EXPECT_DOUBLE_EQ(scatter.points[0].x, 400);
  EXPECT_DOUBLE_EQ(scatter.points[0].y, 400);
  EXPECT_EQ(scatter.points[0].label, "64x64/bf16/seed1");
  ASSERT_EQ(scatter.lines.size(), 1u);
  // 800 TFLOP/s over 4 TB/s: the ridge is at 200 flops a byte.
  EXPECT_THAT(scatter.lines[0].points,
              ElementsAre(Pair(DoubleEq(100), DoubleEq(400)), Pair(DoubleEq(200), DoubleEq(800)),
                          Pair(DoubleEq(400), DoubleEq(800))));
}

TEST(Roofline, rows_that_only_move_bytes_stand_under_the_copy_rate) {
  Record record = testing::passed_record();
  testing::passed(record).work = WorkDone{2'000'000, 0, "copy_gbps", 3000, 2000, 0.667};
  testing::passed(record).timings[0].candidate_ns = 1000;  // 2 MB in 1 µs: 2000 GB/s
  const ChallengeBoard challenge = challenge_of(record);
  EXPECT_THAT(roofline(challenge, {}).points, IsEmpty());
  const Scatter scatter = copy_line(challenge, {{"copy_gbps", 3000.0}});
  ASSERT_EQ(scatter.points.size(), 1u);
  EXPECT_DOUBLE_EQ(scatter.points[0].y, 2000);
  ASSERT_EQ(scatter.lines.size(), 1u);
  EXPECT_DOUBLE_EQ(scatter.lines[0].points[0].second, 3000);
}

TEST(MemoryChart, parts_are_stacked_on_an_axis_from_zero) {
  Record record = testing::passed_record();  // tensors 1024, graph pool 512, outside torch 256: 1792 in all
  testing::passed(record).memory->peak_bytes = 1792;
  const std::string chart = memory_chart(challenge_of(record), record.case_name);
  EXPECT_THAT(chart, HasSubstr(R"(class="tensors" x="235.0" y="9.0" width="300.0")"));  // 525 · 1024 / 1792
  EXPECT_THAT(chart, HasSubstr(R"(class="pool" x="535.0")"));
  EXPECT_THAT(chart, HasSubstr("outside torch 256 B"));
  EXPECT_THAT(chart, HasSubstr("1.75 KiB, 0.44x of the baseline"));
  testing::passed(record).memory = Memory{};
  EXPECT_EQ(memory_chart(challenge_of(record), record.case_name), "");
}

}  // namespace
}  // namespace assay::harness::report
