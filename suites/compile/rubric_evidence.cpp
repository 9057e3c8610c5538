// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/rubric_evidence.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "harness/report/newest.hpp"
#include "suites/compile/attention/checks.hpp"

namespace assay::suites::compile {
namespace {

using harness::Check;
using harness::CurrentSources;
using harness::DeviceKind;
using harness::Record;
using harness::RecordFile;

/// The kernels' GPU records by what they say; skipped ones say nothing.
struct Tally {
  std::set<std::string> kinds;  ///< of passed ones, as "/bf16/bwd"
  std::size_t passed = 0;
  const Record *bad = nullptr, *old = nullptr;
};

Tally tally_of(const RecordFile& file, const CurrentSources& current) {
  Tally tally;
  for (const Record& record : file.records) {
    if (record.challenge != kAttentionChallenge || record.implementation != kAttentionKernels ||
        record.device.kind != DeviceKind::kCuda || std::holds_alternative<harness::Skipped>(record.outcome))
      continue;
    if (harness::report::is_stale(record, current)) {
      tally.old = &record;
    } else if (!std::holds_alternative<harness::Passed>(record.outcome)) {
      tally.bad = &record;
    } else {
      ++tally.passed;
      for (const char* kind : {"/bf16/fwd", "/bf16/bwd", "/f16/fwd", "/f16/bwd"}) {
        if (record.case_name.find(kind) != std::string::npos)
          tally.kinds.insert(kind);
      }
    }
  }
  return tally;
}

/// Newest of a GPU; nullptr without one.
const Check* lengths_check(const RecordFile& file) {
  const Check* best = nullptr;
  for (const Check& check : file.checks) {
    const bool there = check.challenge == kAttentionChallenge && check.check == kLengthsCheck &&
                       check.device.kind == DeviceKind::kCuda && check.outcome != "skipped";
    if (there && (best == nullptr || check.provenance.utc >= best->provenance.utc))
      best = &check;
  }
  return best;
}

bool is_stale(const Check& check, const CurrentSources& current) {
  const auto now = current.find({kAttentionChallenge, kAttentionKernels});
  return now != current.end() && now->second != check.provenance.sources_sha256;
}

Decision stale(const std::string& what) {
  return {Status::kStale, 0, what + " was measured with older sources; run it again"};
}

}  // namespace

Decision open(std::string why) {
  return {Status::kOpen, 0, std::move(why)};
}

Decision flex_attention_works(const RecordFile& file, const CurrentSources& current, int points) {
  const Tally tally = tally_of(file, current);
  const std::string challenge = kAttentionChallenge;
  if (tally.bad != nullptr)
    return {Status::kLost, 0,
            challenge + ": " + tally.bad->case_name + " is " + outcome_name(tally.bad->outcome)};
  if (tally.old != nullptr)
    return stale(challenge + "/" + tally.old->case_name);
  if (tally.kinds.size() < 4)
    return open("no f16 and bf16 records of " + challenge + " on a GPU, forward and backward");
  const std::string works = std::to_string(tally.passed) + " GPU cases passed against the f64 oracle";
  const Check* check = lengths_check(file);
  if (check == nullptr)
    return {Status::kEarned, 1,
            works + "; with dynamic lengths " + std::to_string(points) + ": no check " + kLengthsCheck +
                " of a GPU"};
  if (is_stale(*check, current))
    return stale(kLengthsCheck);
  const nlohmann::json evidence = nlohmann::json::parse(check->evidence_json);
  if (check->outcome != "passed" || evidence.value("dynamic_lengths", false) != true)
    return {Status::kLost, 0, std::string(kLengthsCheck) + " is " + check->outcome + ": " + check->reason};
  return {Status::kEarned, points,
          works + "; " + std::to_string(evidence.value("length_mixes", 0)) + " mixes of lengths, " +
              std::to_string(evidence.value("recompilations", -1)) + " recompilations on " +
              check->device.name};
}

}  // namespace assay::suites::compile
