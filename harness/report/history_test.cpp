// SPDX-License-Identifier: Apache-2.0
// Levels of speed over time, by hand.
#include "harness/report/history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/record/testing.hpp"
#include "harness/report/history_chart.hpp"

namespace assay::harness::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Interval around(double median, double half_width) {
  return {median, median - half_width, median + half_width, 0.95, 64};
}

Record measured(const std::string& utc, const Interval& speedup, const std::string& name = "fused") {
  Record record = testing::passed_record(name);
  record.provenance.utc = utc;
  testing::passed(record).timings[0].speedup = speedup;
  return record;
}

TEST(ChangePoints, intervals_that_overlap_are_one_level) {
  EXPECT_THAT(change_points({around(1.50, 0.05), around(1.54, 0.05), around(1.47, 0.05)}), IsEmpty());
}

TEST(ChangePoints, an_interval_outside_its_level_starts_another) {
  EXPECT_THAT(change_points({around(1.5, 0.02), around(1.5, 0.02), around(1.7, 0.02), around(1.7, 0.02),
                             around(1.2, 0.02)}),
              ElementsAre(2, 4));
}

TEST(ChangePoints, a_slow_drift_leaves_the_level_although_neighbours_overlap) {
  // Each overlaps the one before it; the last, from 1.585, lies above the first three's mean end of 1.575.
  EXPECT_THAT(
      change_points({around(1.50, 0.035), around(1.54, 0.035), around(1.58, 0.035), around(1.62, 0.035)}),
      ElementsAre(3));
}

TEST(ChangePoints, what_two_runs_of_one_program_differ_by_is_no_change) {
  EXPECT_THAT(change_points({around(1.500, 0.001), around(1.506, 0.001)}), IsEmpty()) << "0.4 %";
  EXPECT_THAT(change_points({around(1.500, 0.001), around(1.509, 0.001)}), ElementsAre(1)) << "0.6 %";
}

TEST(ChangePoints, one_measurement_or_none_changes_nothing) {
  EXPECT_THAT(change_points({}), IsEmpty());
  EXPECT_THAT(change_points({around(1.5, 0.1)}), IsEmpty());
}

TEST(Histories, are_sorted_by_time_and_those_that_changed_come_first) {
  const RecordFile file{{measured("2026-11-22T00:00:00Z", around(1.5, 0.02), "steady"),
                         measured("2026-11-23T00:00:00Z", around(1.5, 0.02), "steady"),
                         measured("2026-11-24T00:00:00Z", around(1.8, 0.02)),
                         measured("2026-11-23T00:00:00Z", around(1.5, 0.02))},
                        {}};
  const auto found = histories(file);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].implementation, "fused");
  EXPECT_EQ(found[0].points[0].utc, "2026-11-23T00:00:00Z");
  EXPECT_THAT(found[0].changes, ElementsAre(1));
  EXPECT_THAT(found[1].changes, IsEmpty());
  EXPECT_EQ(changes_text(found[0]), "1.50x → 1.80x on 2026-11-24 (0123abcd)");
}

TEST(Histories, a_change_is_told_from_level_to_level) {
  // sqrt(1.40 · 1.44) = 1.42, sqrt(1.80 · 1.84) = 1.82
  const auto found = histories({{measured("2026-11-21T00:00:00Z", around(1.40, 0.05)),
                                 measured("2026-11-22T00:00:00Z", around(1.44, 0.05)),
                                 measured("2026-11-23T00:00:00Z", around(1.80, 0.05)),
                                 measured("2026-11-24T00:00:00Z", around(1.84, 0.05))},
                                {}});
  EXPECT_EQ(changes_text(found.at(0)), "1.42x → 1.82x on 2026-11-23 (0123abcd)");
}

TEST(Histories, another_baseline_mode_or_target_is_another_row) {
  Record other_baseline = measured("2026-11-23T00:00:00Z", around(1.5, 0.02));
  testing::passed(other_baseline).timings[0].baseline = "another";
  Record other_target = measured("2026-11-24T00:00:00Z", around(1.5, 0.02));
  other_target.target_mode = "ptx_jit";
  EXPECT_THAT(
      histories({{measured("2026-11-22T00:00:00Z", around(1.5, 0.02)), other_baseline, other_target}, {}}),
      IsEmpty());
}

TEST(Histories, what_was_measured_once_has_none) {
  EXPECT_THAT(histories({{measured("2026-11-22T00:00:00Z", around(1.5, 0.02)),
                          testing::record_with(Skipped{"no GPU"})},
                         {}}),
              IsEmpty());
}

TEST(HistoryChart, has_a_mark_a_point_and_a_line_a_change) {
  const auto found = histories({{measured("2026-11-22T00:00:00Z", around(1.5, 0.02)),
                                 measured("2026-11-24T00:00:00Z", around(1.8, 0.02))},
                                {}});
  const std::string chart = history_chart(found.at(0));
  EXPECT_THAT(chart, HasSubstr(R"(class="one" d="M110.0)"));
  EXPECT_THAT(chart, HasSubstr("2026-11-24T00:00:00Z 0123abcd 1.80x [1.78, 1.82]"));
}

}  // namespace
}  // namespace assay::harness::report
