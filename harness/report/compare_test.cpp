// SPDX-License-Identifier: Apache-2.0
// Verdicts of `assay compare` and `assay gate`, from figures worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "harness/record/testing.hpp"
#include "harness/report/report.hpp"

namespace assay::harness {
namespace {

using testing::check_with;
using ::testing::HasSubstr;
using testing::passed;
using testing::passed_record;
using testing::record_with;

RecordFile with_speedup(const Interval& speedup) {
  Record record = passed_record();
  passed(record).timings = {testing::timing(TimeMode::kGraph, speedup, 1000, 1500)};
  return {{record}, {}};
}

Interval interval(double low, double median, double high) {
  return {median, low, high, 0.95, 64};
}

ComparedRow row_about(const std::vector<ComparedRow>& rows, const std::string& what) {
  for (const ComparedRow& row : rows) {
    if (row.what == what) {
      return row;
    }
  }
  ADD_FAILURE() << "no row about " << what;
  return {};
}

RowVerdict speed(const Interval& before, const Interval& after) {
  return row_about(compare_records(with_speedup(before), with_speedup(after)), "speed").verdict;
}

TEST(Compare, speed_is_better_when_the_intervals_are_apart) {
  EXPECT_EQ(speed(interval(1.43, 1.44, 1.45), interval(1.50, 1.51, 1.52)), RowVerdict::kBetter);
  EXPECT_EQ(speed(interval(1.50, 1.51, 1.52), interval(1.43, 1.44, 1.45)), RowVerdict::kWorse);
}

TEST(Compare, overlapping_wide_intervals_are_not_resolved) {
  EXPECT_EQ(speed(interval(1.30, 1.44, 1.50), interval(1.40, 1.50, 1.60)), RowVerdict::kNotResolved);
}

TEST(Compare, tight_overlapping_intervals_are_the_same) {
  // New over old lies in [1.436/1.444, 1.448/1.436] = [0.9945, 1.0084]: within 2 %.
  EXPECT_EQ(speed(interval(1.436, 1.440, 1.444), interval(1.436, 1.442, 1.448)), RowVerdict::kSame);
}

TEST(Compare, a_difference_below_half_a_percent_is_no_difference) {
  // Apart, but the medians differ by 0.4 %.
  EXPECT_EQ(speed(interval(1.000, 1.001, 1.002), interval(1.003, 1.005, 1.006)), RowVerdict::kSame);
}

TEST(Compare, a_file_against_itself_is_the_same_in_every_row) {
  const RecordFile file{{passed_record(), record_with(Skipped{"no GPU"})}, {check_with("noise", "{}")}};
  for (const ComparedRow& row : compare_records(file, file)) {
    EXPECT_EQ(row.verdict, RowVerdict::kSame) << row.what << " " << row.note;
  }
}

TEST(Compare, every_mode_is_judged_by_itself) {
  const RecordFile file{{passed_record()}, {}};
  std::size_t speeds = 0;
  for (const ComparedRow& row : compare_records(file, file)) {
    speeds += row.what == "speed" ? 1 : 0;
  }
  EXPECT_EQ(speeds, passed(const_cast<Record&>(file.records[0])).timings.size());
}

TEST(Compare, another_baseline_makes_speedups_incomparable) {
  RecordFile after = with_speedup(interval(2.0, 2.1, 2.2));
  passed(after.records[0]).timings[0].baseline = "library";
  const ComparedRow row = row_about(compare_records(with_speedup(interval(1.4, 1.5, 1.6)), after), "speed");
  EXPECT_EQ(row.verdict, RowVerdict::kNotResolved);
  EXPECT_THAT(row.note, HasSubstr("plain → library"));
}

TEST(Compare, times_are_shown_across_devices_but_only_speedups_judged) {
  RecordFile after = with_speedup(interval(1.43, 1.44, 1.45));
  after.records[0].device.name = "NVIDIA A100";
  passed(after.records[0]).timings[0].candidate_ns = 9000;
  const ComparedRow row =
      row_about(compare_records(with_speedup(interval(1.43, 1.44, 1.45)), after), "speed");
  EXPECT_EQ(row.verdict, RowVerdict::kSame);
  EXPECT_EQ(row.note, "graph: 1.00 µs → 9.00 µs (other device)");
}

TEST(Compare, two_devices_of_a_kind_in_a_file_are_told_apart) {
  RecordFile both = with_speedup(interval(1.43, 1.44, 1.45));
  both.records.push_back(both.records[0]);
  both.records[1].device.name = "NVIDIA A100";
  const auto rows = compare_records(both, with_speedup(interval(1.43, 1.44, 1.45)));
  const auto missing = std::count_if(rows.begin(), rows.end(),
                                     [](const ComparedRow& r) { return r.verdict == RowVerdict::kMissing; });
  EXPECT_EQ(missing, 1);
}

TEST(Compare, one_byte_more_is_worse) {
  RecordFile before{{passed_record()}, {}}, after = before;
  passed(after.records[0]).memory->peak_bytes += 1;
  EXPECT_EQ(row_about(compare_records(before, after), "memory").verdict, RowVerdict::kWorse);
  EXPECT_EQ(row_about(compare_records(after, before), "memory").verdict, RowVerdict::kBetter);
}

TEST(Compare, parity_is_judged_by_mismatches_then_by_distance) {
  RecordFile before{{passed_record()}, {}}, after = before;
  passed(after.records[0]).parity.mismatches = 1;
  EXPECT_EQ(row_about(compare_records(before, after), "parity").verdict, RowVerdict::kWorse);
  after = before;
  passed(after.records[0]).parity.rel_err *= 1.5;
  EXPECT_EQ(row_about(compare_records(before, after), "parity").verdict, RowVerdict::kWorse);
  after = before;
  passed(after.records[0]).parity.rel_err *= 1.005;
  EXPECT_EQ(row_about(compare_records(before, after), "parity").verdict, RowVerdict::kSame);
}

TEST(Compare, ulps_count_only_where_parity_is_bit_equality) {
  RecordFile before{{passed_record()}, {}}, after = before;
  passed(after.records[0]).parity.max_ulp = 900;
  EXPECT_EQ(row_about(compare_records(before, after), "parity").verdict, RowVerdict::kSame);
  passed(before.records[0]).parity.limit.reset();
  passed(after.records[0]).parity.limit.reset();
  EXPECT_EQ(row_about(compare_records(before, after), "parity").verdict, RowVerdict::kWorse);
}

TEST(Compare, an_error_that_became_nan_is_worse) {
  RecordFile before{{passed_record()}, {}}, after = before;
  passed(after.records[0]).parity.rel_err = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(row_about(compare_records(before, after), "parity").verdict, RowVerdict::kWorse);
}

TEST(Compare, outcomes_and_checks_that_change_are_named) {
  const RecordFile before{{passed_record()}, {check_with("single_launch", "{}")}};
  const RecordFile after{{record_with(Wrong{"parity", "3 differ", {}})},
                         {check_with("single_launch", "{}", "wrong")}};
  const auto rows = compare_records(before, after);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].verdict, RowVerdict::kWorse);
  EXPECT_EQ(rows[0].note, "parity: 3 differ");
  EXPECT_EQ(rows[1].verdict, RowVerdict::kWorse);
  EXPECT_EQ(rows[1].implementation, "single_launch");
  EXPECT_EQ(compare_records(after, before)[0].verdict, RowVerdict::kBetter);
}

TEST(Compare, subjects_of_one_file_are_missing_or_new) {
  const RecordFile one{{passed_record("one")}, {}}, two{{passed_record("two")}, {}};
  const auto rows = compare_records(one, two);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].verdict, RowVerdict::kMissing);
  EXPECT_EQ(rows[0].implementation, "one");
  EXPECT_EQ(rows[1].verdict, RowVerdict::kNew);
}

TEST(CompareTable, what_matters_comes_first_and_columns_line_up) {
  const RecordFile before{{passed_record("one"), passed_record("two")}, {}};
  RecordFile after{{passed_record("one"), record_with(Failed{"launch failed"})}, {}};
  after.records[1].implementation = "two";
  const std::string table = compare_table(compare_records(before, after));
  EXPECT_LT(table.find("worse"), table.find("same"));
  EXPECT_THAT(table, HasSubstr("worse    outcome  example/copy/64x64/bf16/seed1/two  passed"));
  EXPECT_THAT(table, HasSubstr("\n1 worse, 5 same\n"));
}

TEST(CompareTable, nothing_is_said_to_be_nothing) {
  EXPECT_EQ(compare_table({}), "nothing to compare\n");
}

GateResult gate_speed(const Interval& before, const Interval& after, const GateOptions& options = {}) {
  return gate(with_speedup(before), with_speedup(after), options);
}

TEST(Gate, a_file_against_itself_passes) {
  const RecordFile file{{passed_record()}, {check_with("noise", "{}")}};
  EXPECT_TRUE(gate(file, file, {}).passed);
  EXPECT_TRUE(gate(file, file, {.strict = true}).passed);
}

TEST(Gate, slower_by_more_than_allowed_fails) {
  // Wholly below by 1 - 1.38/1.43 = 3.5 %.
  const GateResult result = gate_speed(interval(1.43, 1.44, 1.45), interval(1.36, 1.37, 1.38));
  EXPECT_FALSE(result.passed);
  ASSERT_EQ(result.offending.size(), 1u);
  EXPECT_EQ(result.offending[0].what, "speed");
}

TEST(Gate, slower_by_less_than_allowed_passes) {
  // 1 - 1.40/1.43 = 2.1 %.
  EXPECT_TRUE(gate_speed(interval(1.43, 1.44, 1.45), interval(1.38, 1.39, 1.40)).passed);
  EXPECT_FALSE(
      gate_speed(interval(1.43, 1.44, 1.45), interval(1.38, 1.39, 1.40), {.slower_percent = 2.0}).passed);
}

TEST(Gate, not_resolved_fails_only_when_strict) {
  const Interval before = interval(1.30, 1.44, 1.50), after = interval(1.20, 1.35, 1.45);
  EXPECT_TRUE(gate_speed(before, after).passed);
  EXPECT_FALSE(gate_speed(before, after, {.strict = true}).passed);
}

TEST(Gate, larger_fails_by_a_byte_unless_allowed) {
  RecordFile before{{passed_record()}, {}}, after = before;
  passed(after.records[0]).memory->peak_bytes += 10;  // of 1024: 0.98 %
  EXPECT_FALSE(gate(before, after, {}).passed);
  EXPECT_TRUE(gate(before, after, {.larger_percent = 1.0}).passed);
}

TEST(Gate, from_no_memory_to_some_is_never_allowed) {
  RecordFile before{{passed_record()}, {}}, after = before;
  passed(before.records[0]).memory->peak_bytes = 0;
  EXPECT_FALSE(gate(before, after, {.larger_percent = 1e6}).passed);
}

TEST(Gate, less_exact_fails) {
  RecordFile before{{passed_record()}, {}}, after = before;
  passed(after.records[0]).parity.nonfinite = 1;
  const GateResult result = gate(before, after, {});
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.offending.at(0).what, "parity");
}

TEST(Gate, outcome_changes_fail_unless_they_are_to_passed) {
  const RecordFile good{{passed_record()}, {}}, bad{{record_with(Failed{"x"})}, {}},
      skip{{record_with(Skipped{"x"})}, {}};
  EXPECT_FALSE(gate(good, bad, {}).passed);
  EXPECT_FALSE(gate(good, skip, {}).passed);
  EXPECT_FALSE(gate(skip, bad, {}).passed);
  EXPECT_TRUE(gate(bad, good, {}).passed);
}

TEST(Gate, missing_rows_fail_and_new_rows_pass) {
  const RecordFile one{{passed_record("one")}, {}}, both{{passed_record("one"), passed_record("two")}, {}};
  EXPECT_TRUE(gate(one, both, {}).passed);
  EXPECT_FALSE(gate(both, one, {}).passed);
}

TEST(Gate, a_mode_that_is_no_longer_timed_is_missing) {
  RecordFile before{{passed_record()}, {}}, after = before;
  passed(after.records[0]).timings.pop_back();
  EXPECT_FALSE(gate(before, after, {}).passed);
}

TEST(Gate, judging_nothing_is_not_passing) {
  const RecordFile file{{passed_record()}, {}};
  EXPECT_FALSE(gate({}, {}, {}).passed);
  const GateResult result = gate({}, file, {});
  EXPECT_FALSE(result.passed);
  EXPECT_THAT(result.offending.at(0).note, HasSubstr("expected a baseline with records, found none"));
}

}  // namespace
}  // namespace assay::harness
