// SPDX-License-Identifier: Apache-2.0
// What renderings ask of a board: words, summaries, selections.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "harness/report/board.hpp"
#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

std::string scalar_text(const nlohmann::ordered_json& value) {
  if (value.is_array()) {
    return plural(value.size(), "entry", "entries");
  }
  if (value.is_object()) {
    return plural(value.size(), "field", "fields");
  }
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

int rank_of(Role role) {
  switch (role) {
    case Role::kCandidate:
      return 0;
    case Role::kPeer:
      return 1;
    case Role::kBaseline:
      return 2;
    case Role::kOracle:
    case Role::kMutant:
      return 3;
  }
  throw std::invalid_argument("expected a known role, found " + std::to_string(static_cast<int>(role)));
}

std::string_view status_word(const RubricLine& line, const RubricLine::Decision& decision) {
  switch (decision.status) {
    case RubricLine::Status::kEarned:
      return line.points < 0 ? "avoided" : "earned";
    case RubricLine::Status::kLost:
      return "lost";
    case RubricLine::Status::kOpen:
      return "open";
    case RubricLine::Status::kStale:
      return "stale";
  }
  throw std::invalid_argument("expected a known status, found " +
                              std::to_string(static_cast<int>(decision.status)));
}

std::string evidence_text(const Check& check) {
  if (!check.reason.empty()) {
    return check.reason;
  }
  std::string text;
  const auto evidence = nlohmann::ordered_json::parse(check.evidence_json);
  for (const auto& [name, value] : evidence.items()) {
    text += (text.empty() ? "" : ", ") + name + " " + scalar_text(value);
  }
  return text;
}

std::vector<std::string> timed_implementations(const ChallengeBoard& challenge) {
  std::set<std::pair<int, std::string>> names;
  for (const Row& row : challenge.rows) {
    if (row.headline() != nullptr) {
      names.emplace(rank_of(row.record.role), row.label());
    }
  }
  std::vector<std::string> result;
  for (const auto& [rank, name] : names) {
    result.push_back(name);
  }
  return result;
}

std::vector<TimesOfCase> times_side_by_side(const ChallengeBoard& challenge) {
  const std::vector<std::string> names = timed_implementations(challenge);
  std::vector<TimesOfCase> result;
  for (const std::string& case_name : challenge.cases) {
    TimesOfCase times{.case_name = case_name,
                      .cells = std::vector<std::string>(names.size(), "–"),
                      .fastest = names.size()};
    double least = std::numeric_limits<double>::infinity();
    for (const Row& row : challenge.rows) {
      const auto place = std::find(names.begin(), names.end(), row.label());
      if (row.record.case_name != case_name || row.headline() == nullptr || place == names.end()) {
        continue;
      }
      const auto column = static_cast<std::size_t>(place - names.begin());
      times.cells[column] = time_text(row.headline()->candidate_ns);
      if (row.headline()->candidate_ns < least) {
        least = row.headline()->candidate_ns;
        times.fastest = column;
      }
    }
    if (times.fastest < names.size()) {
      result.push_back(std::move(times));
    }
  }
  return result;
}

std::vector<std::string> without_cases(const DeviceBoard& device) {
  std::vector<std::string> names;
  for (const Check& check : device.checks) {
    const bool has_cases = std::any_of(device.challenges.begin(), device.challenges.end(),
                                       [&](const auto& board) { return board.challenge == check.challenge; });
    if (!has_cases && check.suite != "harness" &&
        std::find(names.begin(), names.end(), check.challenge) == names.end()) {
      names.push_back(check.challenge);
    }
  }
  return names;
}

std::vector<const Row*> failures(const DeviceBoard& device) {
  std::vector<const Row*> rows;
  for (const ChallengeBoard& challenge : device.challenges) {
    for (const Row& row : challenge.rows) {
      if (row.passed() == nullptr && !std::holds_alternative<Skipped>(row.record.outcome)) {
        rows.push_back(&row);
      }
    }
  }
  return rows;
}

std::vector<SkippedGroup> skipped(const DeviceBoard& device) {
  std::vector<SkippedGroup> groups;
  for (const ChallengeBoard& challenge : device.challenges) {
    for (const Row& row : challenge.rows) {
      const auto* skip = std::get_if<Skipped>(&row.record.outcome);
      if (skip == nullptr) {
        continue;
      }
      const auto same = std::find_if(groups.begin(), groups.end(), [&](const SkippedGroup& group) {
        return group.challenge == row.record.challenge && group.implementation == row.record.implementation &&
               group.reason == skip->reason;
      });
      if (same != groups.end()) {
        ++same->cases;
      } else {
        groups.push_back({row.record.challenge, row.record.implementation, skip->reason, 1});
      }
    }
  }
  return groups;
}

}  // namespace assay::harness::report
