// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/rubric_evidence.hpp"

#include <nlohmann/json.hpp>

#include "harness/report/newest.hpp"
#include "suites/backprop/rubric.hpp"
#include "suites/backprop/text.hpp"

namespace assay::suites::backprop {
namespace {

using harness::Check;
using harness::CurrentSources;
using harness::Record;
using harness::RecordFile;
using nlohmann::json;

bool is_stale(const Check& check, const CurrentSources& current) {
  const auto now = current.find({kRubricChallenge, kOurs});
  return now != current.end() && !check.provenance.sources_sha256.empty() &&
         now->second != check.provenance.sources_sha256;
}

const Check* find_check(const RecordFile& file, const std::string& name) {
  const Check* best = nullptr;
  const auto key = [](const Check& c) {
    return std::pair(c.device.kind == harness::DeviceKind::kCuda, c.provenance.utc);
  };
  for (const Check& check : file.checks) {
    if (check.challenge == kRubricChallenge && check.check == name &&
        (best == nullptr || key(check) >= key(*best)))
      best = &check;
  }
  return best;
}

}  // namespace

Decision open(std::string why) {
  return {Status::kOpen, 0, std::move(why)};
}
Decision stale(const std::string& what) {
  return {Status::kStale, 0, what + " was measured with older sources; run it again"};
}

Decision by_check(const RecordFile& file, const CurrentSources& current, const std::string& name,
                  const std::vector<std::string>& fields, int points, int lost_points) {
  const Check* check = find_check(file, name);
  if (check == nullptr)
    return open("no check " + name + " in the records");
  if (check->outcome == "skipped")
    return open(name + " was skipped: " + check->reason);
  if (check->device.kind != harness::DeviceKind::kCuda)
    return open(name + " ran on a CPU only (" + check->device.name + "); it needs a GPU");
  if (is_stale(*check, current))
    return stale(name);
  if (check->outcome != "passed")
    return {Status::kLost, lost_points, name + " is " + check->outcome + ": " + check->reason};
  const json evidence = json::parse(check->evidence_json);
  std::string proof = name + ":";
  for (const std::string& field : fields) {
    const auto found = evidence.find(field);
    if (found == evidence.end())
      return open(name + " says nothing about " + field);
    if (*found != json(true))
      return {Status::kLost, lost_points, text(name, ": expected ", field, " true, found ", found->dump())};
    proof += " " + field;
  }
  return {Status::kEarned, points, proof + " on " + check->device.name};
}

Tally tally_of(const RecordFile& file, const CurrentSources& current, const std::string& challenge,
               const std::string& named_case) {
  Tally tally;
  for (const Record& record : file.records) {
    if (record.challenge != challenge || record.implementation != kOurs ||
        record.device.kind != harness::DeviceKind::kCuda ||
        std::holds_alternative<harness::Skipped>(record.outcome))
      continue;
    if (harness::report::is_stale(record, current)) {
      tally.old = &record;
    } else if (!std::holds_alternative<harness::Passed>(record.outcome)) {
      tally.bad = &record;
    } else {
      ++tally.passed;
      tally.of_f16 += record.case_name.find("/f16/") != std::string::npos;
      tally.of_bf16 += record.case_name.find("/bf16/") != std::string::npos;
      if (record.case_name == named_case)
        tally.named = &record;
    }
  }
  return tally;
}

std::optional<Decision> unusable(const Tally& tally, const std::string& challenge, int lost_points) {
  if (tally.bad != nullptr)
    return Decision{Status::kLost, lost_points,
                    challenge + ": " + tally.bad->case_name + " is " + outcome_name(tally.bad->outcome)};
  if (tally.old != nullptr)
    return stale(challenge + "/" + tally.old->case_name);
  if (tally.of_f16 == 0 || tally.of_bf16 == 0)
    return open("no f16 and bf16 records of " + challenge + " on a GPU");
  return std::nullopt;
}

}  // namespace assay::suites::backprop
