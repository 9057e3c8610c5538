// SPDX-License-Identifier: Apache-2.0
// Matching of two record files, subject by subject.
#include "harness/report/pairing.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace assay::harness::report {
namespace {

using Key = std::vector<std::string>;

/// Kinds of device of which a file holds several: there the name tells subjects apart.
std::set<DeviceKind> crowded_kinds(const RecordFile& before, const RecordFile& after) {
  std::set<DeviceKind> crowded;
  for (const RecordFile* file : {&before, &after}) {
    std::map<DeviceKind, std::set<std::string>> names;
    for (const Record& record : file->records) {
      names[record.device.kind].insert(record.device.name);
    }
    for (const auto& [kind, found] : names) {
      if (found.size() > 1) {
        crowded.insert(kind);
      }
    }
  }
  return crowded;
}

std::string device_part(const DeviceInfo& device, const std::set<DeviceKind>& crowded) {
  const std::string kind = device.kind == DeviceKind::kCuda ? "cuda" : "cpu";
  return crowded.count(device.kind) > 0 ? kind + " " + device.name : kind;
}

Key key_of(const Record& record, const std::set<DeviceKind>& crowded) {
  return {device_part(record.device, crowded),
          record.challenge,
          record.case_name,
          record.implementation,
          record.target_mode,
          record.target_mode == "ptx_jit" ? record.target_arch : ""};
}

Key key_of(const Check& check, const std::set<DeviceKind>& crowded) {
  return {device_part(check.device, crowded), check.suite, check.challenge, check.check};
}

template <class Line>
std::vector<Pair<Line>> pair_up(const std::vector<Line>& before, const std::vector<Line>& after,
                                const std::set<DeviceKind>& crowded) {
  std::map<Key, std::size_t> position;
  std::vector<Pair<Line>> pairs;
  const auto place = [&](const Line& line) -> Pair<Line>& {
    const auto [entry, is_new] = position.try_emplace(key_of(line, crowded), pairs.size());
    if (is_new) {
      pairs.emplace_back();
    }
    return pairs[entry->second];
  };
  for (const Line& line : before) {
    place(line).before = &line;
  }
  for (const Line& line : after) {
    place(line).after = &line;
  }
  return pairs;
}

}  // namespace

std::vector<Pair<Record>> pair_records(const RecordFile& before, const RecordFile& after) {
  return pair_up(before.records, after.records, crowded_kinds(before, after));
}

std::vector<Pair<Check>> pair_checks(const RecordFile& before, const RecordFile& after) {
  return pair_up(before.checks, after.checks, crowded_kinds(before, after));
}

Change change_of(const Interval& before, const Interval& after) {
  return {.low = after.ci_low / before.ci_high,
          .high = after.ci_high / before.ci_low,
          .middle = after.median / before.median};
}

const Timing* timing_of(const Record& record, TimeMode mode) {
  const auto* passed = std::get_if<Passed>(&record.outcome);
  if (passed == nullptr) {
    return nullptr;
  }
  const auto found = std::find_if(passed->timings.begin(), passed->timings.end(),
                                  [&](const Timing& t) { return t.mode == mode && t.speedup; });
  return found == passed->timings.end() ? nullptr : &*found;
}

}  // namespace assay::harness::report
