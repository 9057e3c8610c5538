// SPDX-License-Identifier: Apache-2.0
#include "harness/report/targets.hpp"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace assay::harness::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kUnsaid = "–";

std::string figure(const Json& code, const char* name, const char* unit = "") {
  const auto member = code.find(name);
  return member != code.end() && member->is_number() ? member->dump() + unit : kUnsaid;
}

/// "LDG.NA 72, STG.NA 72" of an object of counts.
std::string counts(const Json& code, const char* name) {
  const auto member = code.find(name);
  if (member == code.end() || !member->is_object()) {
    return kUnsaid;
  }
  std::string text;
  for (const auto& [what, count] : member->items()) {
    text += (text.empty() ? "" : ", ") + what + " " + count.dump();
  }
  return text.empty() ? "none" : text;
}

/// Bytes spilled, and accesses of local memory where those were counted.
std::string spills(const Json& code) {
  const std::string spilled = figure(code, "spill_bytes", " B");
  const std::string local = figure(code, "local_accesses");
  return local == kUnsaid ? spilled : fmt::format("{}, {} local accesses", spilled, local);
}

TargetCode code_of(const Check& check, const std::string& arch, const Json& code) {
  return {.challenge = check.challenge,
          .check = check.check,
          .arch = arch,
          .kernels = figure(code, "kernels"),
          .registers = figure(code, "registers"),
          .spills = spills(code),
          .load = figure(code, "load_bytes", " B"),
          .store = figure(code, "store_bytes", " B"),
          .matrix = counts(code, "matrix_instructions"),
          .hints = counts(code, "cache_hints")};
}

}  // namespace

std::vector<TargetRun> target_runs(const DeviceBoard& device) {
  std::vector<TargetRun> runs;
  for (const ChallengeBoard& challenge : device.challenges) {
    std::map<std::pair<std::string, std::string>, TargetRun> found;
    std::map<std::pair<std::string, std::string>, std::set<std::string>> names;
    for (const Row& row : challenge.rows) {
      if (row.record.role != Role::kCandidate || row.record.target_arch.empty() ||
          std::holds_alternative<Skipped>(row.record.outcome)) {
        continue;
      }
      const std::pair key(row.record.target_arch, row.record.target_mode);
      TargetRun& run = found[key];
      run.challenge = challenge.challenge;
      std::tie(run.arch, run.mode) = key;
      ++(row.passed() != nullptr ? run.passed : run.not_passed);
      run.timed += row.headline() != nullptr ? 1 : 0;
      names[key].insert(row.record.implementation);
    }
    for (auto& [key, run] : found) {
      run.implementations.assign(names[key].begin(), names[key].end());
      runs.push_back(std::move(run));
    }
  }
  return runs;
}

std::vector<TargetCode> target_code(const DeviceBoard& device) {
  std::vector<TargetCode> result;
  for (const Check& check : device.checks) {
    const Json evidence = Json::parse(check.evidence_json);
    for (const auto& [name, code] : evidence.items()) {
      if (name.starts_with("sm_") && code.is_object()) {
        result.push_back(code_of(check, name, code));
      }
    }
  }
  return result;
}

}  // namespace assay::harness::report
