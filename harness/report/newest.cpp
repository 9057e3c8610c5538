// SPDX-License-Identifier: Apache-2.0
// Merging by time of measurement. Times are ISO 8601 in UTC, which sort as text; of equals the later line
// wins.
#include "harness/report/newest.hpp"

#include <algorithm>
#include <map>
#include <numeric>

namespace assay::harness::report {
namespace {

using Key = std::vector<std::string>;

Key key_of(const Record& record) {
  return {record.device.name,    record.device.arch, record.challenge,  record.case_name,
          record.implementation, record.target_arch, record.target_mode};
}

Key key_of(const Check& check) {
  return {check.device.name, check.device.arch, check.challenge, check.check};
}

/// Lines of each key, oldest first; keys in order of first appearance.
template <class Line>
std::vector<std::vector<const Line*>> by_key(const std::vector<Line>& lines) {
  std::map<Key, std::size_t> position;
  std::vector<std::vector<const Line*>> groups;
  for (const Line& line : lines) {
    const auto [entry, is_new] = position.try_emplace(key_of(line), groups.size());
    if (is_new) {
      groups.emplace_back();
    }
    groups[entry->second].push_back(&line);
  }
  for (auto& group : groups) {
    std::stable_sort(group.begin(), group.end(),
                     [](const Line* a, const Line* b) { return a->provenance.utc < b->provenance.utc; });
  }
  return groups;
}

bool has_mode(const Passed& passed, TimeMode mode) {
  return std::any_of(passed.timings.begin(), passed.timings.end(),
                     [&](const Timing& t) { return t.mode == mode; });
}

void take_missing(Passed& newer, const Passed& older) {
  const Passed before = newer;
  for (const Timing& timing : older.timings) {
    if (!has_mode(before, timing.mode)) {
      newer.timings.push_back(timing);
    }
  }
  std::stable_sort(newer.timings.begin(), newer.timings.end(),
                   [](const Timing& a, const Timing& b) { return a.mode < b.mode; });
  newer.memory = newer.memory ? newer.memory : older.memory;
  newer.work = newer.work ? newer.work : older.work;
}

Record merged(const std::vector<const Record*>& oldest_first) {
  Record result = *oldest_first.back();
  auto* passed = std::get_if<Passed>(&result.outcome);
  for (auto older = oldest_first.rbegin() + 1; passed && older != oldest_first.rend(); ++older) {
    const auto* earlier = std::get_if<Passed>(&(*older)->outcome);
    if (!earlier || (*older)->provenance.sources_sha256 != result.provenance.sources_sha256) {
      break;
    }
    take_missing(*passed, *earlier);
  }
  return result;
}

}  // namespace

RecordFile newest(const RecordFile& file) {
  RecordFile result;
  for (const auto& group : by_key(file.records)) {
    result.records.push_back(merged(group));
  }
  for (const auto& group : by_key(file.checks)) {
    result.checks.push_back(*group.back());
  }
  return result;
}

bool is_stale(const Record& record, const CurrentSources& current) {
  const auto now = current.find({record.challenge, record.implementation});
  return now != current.end() && now->second != record.provenance.sources_sha256;
}

std::pair<std::string, std::string> device_key(const DeviceInfo& device) {
  return {device.name, device.arch};
}

}  // namespace assay::harness::report
