// SPDX-License-Identifier: Apache-2.0
#include "harness/report/heat_map.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

namespace assay::harness::report {
namespace {

constexpr std::size_t kLeastPlaces = 4;

using Parts = std::vector<std::string>;

Parts split(const std::string& text) {
  Parts parts = {""};
  for (const char c : text) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// "s512" before "s4096": digits compare as figures.
struct Naturally {
  bool operator()(const std::string& a, const std::string& b) const { return key(a) < key(b); }
  static std::vector<std::pair<std::string, double>> key(const std::string& text) {
    std::vector<std::pair<std::string, double>> parts = {{"", -1}};
    for (const char c : text) {
      if (std::isdigit(static_cast<unsigned char>(c)) == 0) {
        if (parts.back().second >= 0) {
          parts.emplace_back("", -1);
        }
        parts.back().first += c;
      } else {
        parts.back().second = std::max(parts.back().second, 0.0) * 10 + (c - '0');
      }
    }
    return parts;
  }
};

struct Swept {
  const Row* row;
  Parts parts;
};

/// Timed candidates whose cases have as many axes as most have.
std::vector<Swept> swept(const ChallengeBoard& challenge) {
  std::vector<Swept> all;
  std::map<std::size_t, std::size_t> lengths;
  for (const Row& row : challenge.rows) {
    const Timing* timing = row.headline();
    if (row.record.role == Role::kCandidate && timing != nullptr && timing->speedup) {
      all.push_back({&row, split(row.record.case_name)});
      ++lengths[all.back().parts.size()];
    }
  }
  const auto usual = std::max_element(lengths.begin(), lengths.end(),
                                      [](const auto& a, const auto& b) { return a.second < b.second; });
  std::erase_if(all, [&](const Swept& one) { return one.parts.size() != usual->first; });
  return all;
}

/// Positions of axes with more than one value, that with most values first; seeds stand for an input, and so
/// does what stands in their place.
std::vector<std::size_t> axes_of(const std::vector<Swept>& all) {
  std::vector<std::pair<std::size_t, std::size_t>> counted;
  for (std::size_t axis = 0; axis < all.front().parts.size(); ++axis) {
    std::set<std::string> values;
    bool input = false;
    for (const Swept& one : all) {
      values.insert(one.parts[axis]);
      input |= one.parts[axis].starts_with("seed");
    }
    if (!input && values.size() > 1) {
      counted.emplace_back(values.size(), axis);
    }
  }
  std::stable_sort(counted.begin(), counted.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::size_t> axes;
  for (const auto& [count, axis] : counted) {
    axes.push_back(axis);
  }
  return axes;
}

using Place = std::pair<std::string, std::string>;
using Places = std::map<Place, const Timing*>;

void keep_lowest(const Timing*& kept, const Timing* timing) {
  if (kept == nullptr || timing->speedup->ci_low < kept->speedup->ci_low) {
    kept = timing;
  }
}

HeatMap map_of(const std::pair<std::string, std::string>& subject, const Places& places) {
  std::set<std::string, Naturally> rows, columns;
  for (const auto& [place, timing] : places) {
    rows.insert(place.first);
    columns.insert(place.second);
  }
  HeatMap map{.implementation = subject.first,
              .fixed = subject.second,
              .rows = {rows.begin(), rows.end()},
              .columns = {columns.begin(), columns.end()},
              .cells = {}};
  for (const std::string& row : map.rows) {
    map.cells.emplace_back();
    for (const std::string& column : map.columns) {
      const auto found = places.find({row, column});
      map.cells.back().push_back(found == places.end() ? nullptr : found->second);
    }
  }
  return map;
}

}  // namespace

std::vector<HeatMap> heat_maps(const ChallengeBoard& challenge) {
  const std::vector<Swept> all = swept(challenge);
  const std::vector<std::size_t> axes = all.empty() ? std::vector<std::size_t>{} : axes_of(all);
  if (axes.size() < 2) {
    return {};
  }
  std::map<std::pair<std::string, std::string>, Places> subjects;
  for (const Swept& one : all) {
    std::string fixed;
    for (std::size_t i = 2; i < axes.size(); ++i) {
      fixed += (fixed.empty() ? "" : "/") + one.parts[axes[i]];
    }
    Places& places = subjects[{one.row->label(), fixed}];
    keep_lowest(places[{one.parts[axes[0]], one.parts[axes[1]]}], one.row->headline());
  }
  std::vector<HeatMap> maps;
  for (const auto& [subject, places] : subjects) {
    if (places.size() >= kLeastPlaces) {
      maps.push_back(map_of(subject, places));
    }
  }
  return maps;
}

int heat_of(const Timing& timing) {
  if (timing.verdict == Verdict::kNotResolved || !timing.speedup) {
    return 0;
  }
  const double doublings = std::log2(timing.speedup->median);
  const double size = std::fabs(doublings);
  const int heat = size >= 1 ? 3 : size >= std::log2(1.2) ? 2 : 1;
  return doublings > 0 ? heat : -heat;
}

}  // namespace assay::harness::report
