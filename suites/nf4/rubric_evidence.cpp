// SPDX-License-Identifier: Apache-2.0
// From checks to decisions: missing and skipped evidence leaves a line open, a failed check loses it.
#include "suites/nf4/rubric_evidence.hpp"

#include <fmt/format.h>

namespace assay::suites::nf4 {
namespace {

using harness::Check;
using harness::CurrentSources;
using harness::RecordFile;
using nlohmann::json;

bool on_gpu(const Check& check) {
  const json evidence = json::parse(check.evidence_json);
  const auto device = evidence.find("device");
  return check.device.kind == harness::DeviceKind::kCuda || (device != evidence.end() && *device == "cuda");
}

/// Digest of our sources when the check was made; a check over several implementations names those of each in
/// its evidence. Empty: it does not say.
std::string sources_of(const Check& check) {
  if (!check.provenance.sources_sha256.empty())
    return check.provenance.sources_sha256;
  const json evidence = json::parse(check.evidence_json);
  const auto sources = evidence.find("sources");
  return sources == evidence.end() ? "" : sources->value(kOurs, "");
}

bool is_stale(const Check& check, const CurrentSources& current) {
  const auto now = current.find({kRubricChallenge, kOurs});
  return now != current.end() && now->second != sources_of(check);
}

}  // namespace

Decision open(std::string why) {
  return {Status::kOpen, 0, std::move(why)};
}
Decision stale(const std::string& what) {
  return {Status::kStale, 0, what + " was measured with older sources; run it again"};
}

const Check* find_check(const RecordFile& file, const std::string& name) {
  const Check* best = nullptr;
  for (const Check& check : file.checks) {
    if (check.challenge != kRubricChallenge || check.check != name) {
      continue;
    }
    const auto key = [](const Check& c) { return std::pair(on_gpu(c), c.provenance.utc); };
    if (best == nullptr || key(check) >= key(*best)) {
      best = &check;
    }
  }
  return best;
}

std::optional<Decision> unusable(const RecordFile& file, const CurrentSources& current,
                                 const std::string& name, bool needs_gpu, int lost_points) {
  const Check* check = find_check(file, name);
  if (check == nullptr) {
    return open("no check " + name + " in the records");
  }
  if (check->outcome == "skipped") {
    return open(name + " was skipped: " + check->reason);
  }
  if (needs_gpu && !on_gpu(*check)) {
    return open(name + " ran on a CPU only (" + check->device.name + "); it needs a GPU");
  }
  if (is_stale(*check, current)) {
    return stale(name);
  }
  if (check->outcome != "passed") {
    return Decision{Status::kLost, lost_points, name + " is " + check->outcome + ": " + check->reason};
  }
  return std::nullopt;
}

json evidence_of(const RecordFile& file, const std::string& name) {
  return json::parse(find_check(file, name)->evidence_json);
}

std::optional<int> count_of(const json& evidence, const std::string& name) {
  std::optional<int> count;
  for (const auto& [key, value] : evidence.items()) {
    if (key == name) {
      const bool yes = value.is_boolean() ? value.get<bool>() : value.is_structured() && !value.empty();
      count = count.value_or(0) + (yes ? 1 : 0);
    } else if (value.is_structured()) {
      if (const auto below = count_of(value, name)) {
        count = count.value_or(0) + *below;
      }
    }
  }
  return count;
}

Decision decide_by_fields(const RecordFile& file, const CurrentSources& current, const std::string& name,
                          const std::vector<Expected>& expected, int points, int lost_points) {
  if (auto decision = unusable(file, current, name, /*needs_gpu=*/true, lost_points)) {
    return *decision;
  }
  const json evidence = evidence_of(file, name);
  std::string proof = name + ":";
  for (const auto& [field, value] : expected) {
    const auto found = evidence.find(field);
    if (found == evidence.end()) {
      return open(fmt::format("{} says nothing about {}", name, field));
    }
    // A number of things that were shown stands for "yes": 8 dynamic shapes, not one alone.
    const bool shown =
        value.is_boolean() && value.get<bool>() && found->is_number() && found->get<double>() > 1;
    if (*found != value && !shown) {
      return {Status::kLost, lost_points,
              fmt::format("{}: expected {} {}, found {}", name, field, value.dump(), found->dump())};
    }
    proof += fmt::format(" {} {}", field, found->dump());
  }
  return {Status::kEarned, points, proof + " on " + find_check(file, name)->device.name};
}

}  // namespace assay::suites::nf4
