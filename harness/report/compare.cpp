// SPDX-License-Identifier: Apache-2.0
// Two record files side by side. Speed is judged by the intervals of the speedup over the baseline timed in
// the same run; absolute times stand beside it and are never judged, as they may come from different
// machines.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "harness/report/format.hpp"
#include "harness/report/judge.hpp"
#include "harness/report/newest.hpp"
#include "harness/report/pairing.hpp"
#include "harness/report/report.hpp"

namespace assay::harness {
namespace report {
namespace {

/// Below this, runs of the same binary were seen to differ (the margin of `verdict_of`).
constexpr double kNoticeable = 0.005;
/// Intervals that allow no change beyond this are the same.
constexpr double kSame = 0.02;
/// Relative errors within this of each other are the same: the order of a sum may differ between runs.
constexpr double kSameError = 0.01;

ComparedRow row_of(const Record& record, const char* what) {
  ComparedRow row;
  row.challenge = record.challenge;
  row.case_name = record.case_name;
  row.implementation = record.implementation;
  row.what = what;
  return row;
}

bool same_interval(const Interval& a, const Interval& b) {
  return a.median == b.median && a.ci_low == b.ci_low && a.ci_high == b.ci_high;
}

RowVerdict speed_verdict(const Interval& before, const Interval& after) {
  const Change change = change_of(before, after);
  if (change.low > 1 && change.middle >= 1 + kNoticeable) {
    return RowVerdict::kBetter;
  }
  if (change.high < 1 && change.middle <= 1 - kNoticeable) {
    return RowVerdict::kWorse;
  }
  const bool tight = change.low >= 1 - kSame && change.high <= 1 + kSame;
  return tight || same_interval(before, after) ? RowVerdict::kSame : RowVerdict::kNotResolved;
}

std::string times_note(const Timing& before, const Timing& after, bool same_device) {
  return fmt::format("{}: {} → {}{}", mode_name(after.mode), time_text(before.candidate_ns),
                     time_text(after.candidate_ns), same_device ? "" : " (other device)");
}

void compare_speed(const Record& before, const Record& after, std::vector<Judged>& rows) {
  const bool same_device = device_key(before.device) == device_key(after.device);
  for (const TimeMode mode : {TimeMode::kGraph, TimeMode::kCold, TimeMode::kWall}) {
    const Timing* was = timing_of(before, mode);
    const Timing* is = timing_of(after, mode);
    if (was == nullptr && is == nullptr) {
      continue;
    }
    Judged judged{.row = row_of(after, "speed")};
    ComparedRow& row = judged.row;
    row.old_value = was != nullptr ? interval_text(*was->speedup) : "";
    row.new_value = is != nullptr ? interval_text(*is->speedup) : "";
    if (was == nullptr || is == nullptr) {
      row.verdict = was == nullptr ? RowVerdict::kNew : RowVerdict::kMissing;
      row.note = fmt::format("{}: timed in one file only", mode_name(mode));
    } else if (was->baseline != is->baseline) {
      row.verdict = RowVerdict::kNotResolved;
      row.note = fmt::format("{}: other baseline, {} → {}", mode_name(mode), was->baseline, is->baseline);
    } else {
      row.verdict = speed_verdict(*was->speedup, *is->speedup);
      row.note = times_note(*was, *is, same_device);
      judged.slower_percent = std::max(0.0, 100 * (1 - change_of(*was->speedup, *is->speedup).high));
    }
    rows.push_back(std::move(judged));
  }
}

RowVerdict smaller_is_better(double before, double after, double tolerance) {
  if (!(after <= before * (1 + tolerance))) {  // positive form: NaN is worse
    return RowVerdict::kWorse;
  }
  return after < before * (1 - tolerance) ? RowVerdict::kBetter : RowVerdict::kSame;
}

double growth_percent(std::int64_t before, std::int64_t after) {
  if (after <= before) {
    return 0;
  }
  return before == 0 ? std::numeric_limits<double>::infinity()
                     : 100 * (static_cast<double>(after) / static_cast<double>(before) - 1);
}

void compare_memory(const Passed& was, const Passed& is, ComparedRow row, std::vector<Judged>& rows) {
  if (!was.memory && !is.memory) {
    return;
  }
  double larger_percent = 0;
  row.old_value = was.memory ? bytes_text(was.memory->peak_bytes) : "";
  row.new_value = is.memory ? bytes_text(is.memory->peak_bytes) : "";
  if (was.memory && is.memory) {
    row.verdict = smaller_is_better(static_cast<double>(was.memory->peak_bytes),
                                    static_cast<double>(is.memory->peak_bytes), 0);
    row.note = fmt::format("{} → {} bytes", was.memory->peak_bytes, is.memory->peak_bytes);
    larger_percent = growth_percent(was.memory->peak_bytes, is.memory->peak_bytes);
  } else {
    row.verdict = is.memory ? RowVerdict::kNew : RowVerdict::kMissing;
    row.note = "measured in one file only";
  }
  rows.push_back({.row = std::move(row), .larger_percent = larger_percent});
}

/// The first of mismatches, non-finite values and distance that differs; distance is ulp where parity is bit
/// equality, else the relative error (near zero a ulp says nothing).
RowVerdict parity_verdict(const Parity& was, const Parity& is) {
  const auto count = [](std::int64_t a, std::int64_t b) {
    return smaller_is_better(static_cast<double>(a), static_cast<double>(b), 0);
  };
  for (const RowVerdict verdict : {count(was.mismatches, is.mismatches), count(was.nonfinite, is.nonfinite),
                                   is.limit ? RowVerdict::kSame : count(was.max_ulp, is.max_ulp),
                                   smaller_is_better(was.rel_err, is.rel_err, kSameError)}) {
    if (verdict != RowVerdict::kSame) {
      return verdict;
    }
  }
  return RowVerdict::kSame;
}

std::string parity_text(const Parity& parity) {
  return fmt::format("{} differ, max {} ulp, error {:.3e}", parity.mismatches, parity.max_ulp,
                     parity.rel_err);
}

void compare_parity(const Parity& was, const Parity& is, ComparedRow row, std::vector<Judged>& rows) {
  row.verdict = parity_verdict(was, is);
  row.old_value = parity_text(was);
  row.new_value = parity_text(is);
  rows.push_back(Judged{.row = std::move(row)});
}

RowVerdict outcome_verdict(const std::string& was, const std::string& is) {
  if (was == is) {
    return RowVerdict::kSame;
  }
  if (is == "passed") {
    return RowVerdict::kBetter;
  }
  return was == "passed" ? RowVerdict::kWorse : RowVerdict::kNotResolved;
}

void compare_pair(const Pair<Record>& pair, std::vector<Judged>& rows) {
  ComparedRow outcome = row_of(pair.after != nullptr ? *pair.after : *pair.before, "outcome");
  outcome.old_value = pair.before != nullptr ? outcome_name(pair.before->outcome) : "";
  outcome.new_value = pair.after != nullptr ? outcome_name(pair.after->outcome) : "";
  outcome.note = pair.after != nullptr ? outcome_reason(pair.after->outcome) : "";
  if (pair.before == nullptr || pair.after == nullptr) {
    outcome.verdict = pair.before == nullptr ? RowVerdict::kNew : RowVerdict::kMissing;
    rows.push_back(Judged{.row = std::move(outcome)});
    return;
  }
  outcome.verdict = outcome_verdict(outcome.old_value, outcome.new_value);
  rows.push_back(Judged{.row = std::move(outcome)});
  const auto* was = std::get_if<Passed>(&pair.before->outcome);
  const auto* is = std::get_if<Passed>(&pair.after->outcome);
  if (was != nullptr && is != nullptr) {
    compare_speed(*pair.before, *pair.after, rows);
    compare_memory(*was, *is, row_of(*pair.after, "memory"), rows);
    compare_parity(was->parity, is->parity, row_of(*pair.after, "parity"), rows);
  }
}

void compare_checks(const Pair<Check>& pair, std::vector<Judged>& rows) {
  const Check& any = pair.after != nullptr ? *pair.after : *pair.before;
  ComparedRow row{.challenge = any.challenge.empty() ? any.suite : any.challenge,
                  .case_name = "check",
                  .implementation = any.check,
                  .what = "outcome",
                  .verdict = RowVerdict::kSame,
                  .old_value = pair.before != nullptr ? pair.before->outcome : "",
                  .new_value = pair.after != nullptr ? pair.after->outcome : "",
                  .note = pair.after != nullptr ? pair.after->reason : ""};
  row.verdict = pair.before == nullptr  ? RowVerdict::kNew
                : pair.after == nullptr ? RowVerdict::kMissing
                                        : outcome_verdict(row.old_value, row.new_value);
  rows.push_back(Judged{.row = std::move(row)});
}

}  // namespace

std::vector<Judged> judge(const RecordFile& old_records, const RecordFile& new_records) {
  const RecordFile before = newest(old_records), after = newest(new_records);
  std::vector<Judged> rows;
  for (const auto& pair : pair_records(before, after)) {
    compare_pair(pair, rows);
  }
  for (const auto& pair : pair_checks(before, after)) {
    compare_checks(pair, rows);
  }
  return rows;
}

}  // namespace report

std::vector<ComparedRow> compare_records(const RecordFile& old_records, const RecordFile& new_records) {
  std::vector<ComparedRow> rows;
  for (report::Judged& judged : report::judge(old_records, new_records)) {
    rows.push_back(std::move(judged.row));
  }
  return rows;
}

}  // namespace assay::harness
