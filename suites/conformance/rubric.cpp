// SPDX-License-Identifier: Apache-2.0
#include "suites/conformance/rubric.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "suites/conformance/defect.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

using harness::Check;
using harness::CurrentSources;
using Decision = harness::RubricLine::Decision;
using Status = harness::RubricLine::Status;

/// The newest check of each defect that was not skipped: a GPU's row stands beside a CPU's.
std::map<std::string, const Check*> newest_checks(const harness::RecordFile& file) {
  std::map<std::string, const Check*> out;
  for (const Check& check : file.checks) {
    if (check.challenge != kChallenge || check.outcome == "skipped")
      continue;
    const Check*& best = out[check.check];
    if (best == nullptr || check.provenance.utc >= best->provenance.utc)
      best = &check;
  }
  return out;
}

nlohmann::json evidence_of(const Check& check) {
  return nlohmann::json::parse(check.evidence_json);
}

/// Passed, and its own evidence says that ours passed and that the mutant was rejected.
bool is_shown(const Check& check) {
  const auto evidence = evidence_of(check);
  return check.outcome == "passed" && evidence.value("ours", "") == "passed" &&
         evidence.value("mutant", "") == "rejected";
}

bool is_stale(const Check& check, const CurrentSources& current) {
  const auto now = current.find({kChallenge, evidence_of(check).value("path", "")});
  return now == current.end() || now->second != check.provenance.sources_sha256;
}

Decision decide(const harness::RecordFile& file, const CurrentSources& current) {
  int shown = 0, stale = 0;
  std::string wrong;
  for (const auto& [name, check] : newest_checks(file)) {
    if (!is_shown(*check))
      wrong += (wrong.empty() ? "" : ", ") + name;
    else if (is_stale(*check, current))
      ++stale;
    else
      ++shown;
  }
  const std::string counted = text(shown, " defects: ours passed, mutant rejected");
  const std::string others = (stale > 0 ? text("; ", stale, " with older sources, run them again") : "") +
                             (wrong.empty() ? "" : "; not shown: " + wrong);
  if (shown >= kLeastDefects)
    return {Status::kEarned, std::min(shown / kDefectsAPoint, kMostPoints), counted + others};
  if (shown + stale >= kLeastDefects)
    return {Status::kStale, 0, counted + others};
  return {wrong.empty() ? Status::kOpen : Status::kLost, 0,
          text(counted, ", at least ", kLeastDefects, " wanted", others)};
}

}  // namespace

harness::Rubric rubric() {
  const std::string words =
      text("Defects users reported upstream: one point for every ", kDefectsAPoint,
           " that ours does not have and whose mutant the same check rejects; at least ", kLeastDefects,
           " of them, at most ", kMostPoints, " points");
  return {.suite = "conformance", .title = "D: upstream issues", .lines = {{words, kMostPoints, decide}}};
}

}  // namespace assay::suites::conformance
