// SPDX-License-Identifier: Apache-2.0
#include "harness/report/history.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/measure/statistics.hpp"

namespace assay::harness::report {
namespace {

/// Means over the intervals of one level, as logarithms.
struct Level {
  double low = 0, middle = 0, high = 0;
  std::size_t count = 0;

  void add(const Interval& interval) {
    const auto mean = [&](double before, double value) {
      return (before * static_cast<double>(count) + std::log(value)) / static_cast<double>(count + 1);
    };
    low = mean(low, interval.ci_low);
    middle = mean(middle, interval.median);
    high = mean(high, interval.ci_high);
    ++count;
  }
  bool holds(const Interval& interval) const {
    const bool overlaps = std::log(interval.ci_low) <= high && std::log(interval.ci_high) >= low;
    return overlaps || std::fabs(std::log(interval.median) - middle) < std::log1p(kVerdictMargin);
  }
};

using Key = std::vector<std::string>;

const Timing* headline_of(const Record& record) {
  const auto* passed = std::get_if<Passed>(&record.outcome);
  return passed != nullptr && !passed->timings.empty() && passed->timings.front().speedup
             ? &passed->timings.front()
             : nullptr;
}

Key key_of(const Record& record, const Timing& timing) {
  return {record.device.name, record.device.arch,    record.challenge,
          record.case_name,   record.implementation, record.target_arch,
          record.target_mode, timing.baseline,       std::string(mode_name(timing.mode))};
}

/// Oldest first; of one time the later line.
void sort_points(std::vector<Measured>& points) {
  std::stable_sort(points.begin(), points.end(),
                   [](const Measured& a, const Measured& b) { return a.utc < b.utc; });
  std::vector<Measured> kept;
  for (Measured& point : points) {
    if (!kept.empty() && kept.back().utc == point.utc) {
      kept.back() = std::move(point);
    } else {
      kept.push_back(std::move(point));
    }
  }
  points = std::move(kept);
}

std::vector<History> collected(const RecordFile& file) {
  std::map<Key, std::size_t> position;
  std::vector<History> result;
  for (const Record& record : file.records) {
    const Timing* timing = headline_of(record);
    if (timing == nullptr) {
      continue;
    }
    const auto [entry, is_new] = position.try_emplace(key_of(record, *timing), result.size());
    if (is_new) {
      result.push_back({.device = record.device,
                        .challenge = record.challenge,
                        .case_name = record.case_name,
                        .implementation = record.implementation,
                        .baseline = timing->baseline,
                        .mode = timing->mode,
                        .points = {},
                        .changes = {}});
    }
    result[entry->second].points.push_back(
        {record.provenance.utc, record.provenance.commit, *timing->speedup});
  }
  return result;
}

}  // namespace

std::vector<std::size_t> change_points(const std::vector<Interval>& oldest_first) {
  std::vector<std::size_t> changes;
  Level level;
  for (std::size_t i = 0; i < oldest_first.size(); ++i) {
    if (level.count > 0 && !level.holds(oldest_first[i])) {
      changes.push_back(i);
      level = {};
    }
    level.add(oldest_first[i]);
  }
  return changes;
}

std::vector<History> histories(const RecordFile& file) {
  std::vector<History> result = collected(file);
  for (History& history : result) {
    sort_points(history.points);
    std::vector<Interval> intervals;
    for (const Measured& point : history.points) {
      intervals.push_back(point.speedup);
    }
    history.changes = change_points(intervals);
  }
  std::erase_if(result, [](const History& history) { return history.points.size() < 2; });
  std::stable_partition(result.begin(), result.end(),
                        [](const History& history) { return !history.changes.empty(); });
  return result;
}

}  // namespace assay::harness::report
