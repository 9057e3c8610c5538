// SPDX-License-Identifier: Apache-2.0
// Which differences between two record files stop a change.
#include "harness/report/judge.hpp"
#include "harness/report/report.hpp"

namespace assay::harness {
namespace {

using report::Judged;

bool offends(const Judged& judged, const GateOptions& options) {
  const RowVerdict verdict = judged.row.verdict;
  if (verdict == RowVerdict::kMissing) {
    return true;
  }
  if (verdict == RowVerdict::kNew) {
    return false;
  }
  if (judged.row.what == "speed") {
    return judged.slower_percent > options.slower_percent ||
           (options.strict && verdict == RowVerdict::kNotResolved);
  }
  if (judged.row.what == "memory") {
    return judged.larger_percent > options.larger_percent;
  }
  // Outcome: not resolved means that neither passed and they failed in different ways.
  return verdict == RowVerdict::kWorse || verdict == RowVerdict::kNotResolved;
}

ComparedRow nothing_to_compare(const RecordFile& baseline) {
  ComparedRow row;
  row.what = "outcome";
  row.verdict = RowVerdict::kMissing;
  row.note = baseline.records.empty() && baseline.checks.empty()
                 ? "expected a baseline with records, found none; nothing was judged"
                 : "expected subjects in both files, found none in common; nothing was judged";
  return row;
}

}  // namespace

GateResult gate(const RecordFile& baseline, const RecordFile& current, const GateOptions& options) {
  GateResult result;
  bool any_in_common = false;
  for (const Judged& judged : report::judge(baseline, current)) {
    any_in_common |= judged.row.verdict != RowVerdict::kMissing && judged.row.verdict != RowVerdict::kNew;
    if (offends(judged, options)) {
      result.offending.push_back(judged.row);
    }
  }
  if (!any_in_common) {
    result.offending.insert(result.offending.begin(), nothing_to_compare(baseline));
  }
  result.passed = result.offending.empty();
  return result;
}

}  // namespace assay::harness
