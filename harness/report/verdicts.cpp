// SPDX-License-Identifier: Apache-2.0
#include "harness/report/verdicts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

/// A row of current sources before a stale one, then the surer to be fast.
bool speaks_before(const Row& a, const Row& b) {
  return std::pair(!a.stale, a.headline()->speedup->ci_low) >
         std::pair(!b.stale, b.headline()->speedup->ci_low);
}

/// Of each case the row of that role that speaks for it.
std::map<std::string, const Row*> surest(const ChallengeBoard& challenge, Role role = Role::kCandidate) {
  std::map<std::string, const Row*> best;
  for (const Row& row : challenge.rows) {
    const Timing* timing = row.headline();
    if (row.record.role != role || timing == nullptr || !timing->speedup) {
      continue;
    }
    const Row*& kept = best[row.record.case_name];
    if (kept == nullptr || speaks_before(row, *kept)) {
      kept = &row;
    }
  }
  return best;
}

void count_rows(const ChallengeBoard& challenge, ChallengeVerdict& verdict) {
  for (const Row& row : challenge.rows) {
    if (row.record.role != Role::kCandidate || std::holds_alternative<Skipped>(row.record.outcome)) {
      continue;
    }
    ++(row.passed() != nullptr ? verdict.verified : verdict.failed);
    verdict.stale += row.stale ? 1 : 0;
  }
}

void count_cases(const ChallengeBoard& challenge, ChallengeVerdict& verdict) {
  for (const auto& [name, row] : surest(challenge)) {
    const Timing& timing = *row->headline();
    ++(timing.verdict == Verdict::kBetter  ? verdict.better
       : timing.verdict == Verdict::kWorse ? verdict.worse
                                           : verdict.unresolved);
    verdict.told_by_stale |= row->stale;
    const double median = timing.speedup->median;
    verdict.lowest = verdict.lowest == 0 ? median : std::min(verdict.lowest, median);
    verdict.highest = std::max(verdict.highest, median);
  }
}

std::string word_of(const ChallengeVerdict& verdict) {
  if (verdict.failed > 0) {
    return "wrong";
  }
  if (verdict.verified == 0) {
    return "nothing ran";
  }
  if (verdict.better + verdict.worse + verdict.unresolved == 0) {
    return "verified";
  }
  if (verdict.worse > 0) {
    return verdict.better + verdict.unresolved > 0 ? "mixed" : "worse";
  }
  return verdict.unresolved == 0 ? "better" : verdict.better == 0 ? "not resolved" : "mixed";
}

}  // namespace

ChallengeVerdict challenge_verdict(const ChallengeBoard& challenge) {
  ChallengeVerdict verdict;
  count_rows(challenge, verdict);
  count_cases(challenge, verdict);
  verdict.word = word_of(verdict);
  if (verdict.told_by_stale) {
    verdict.word += ", stale";
  }
  verdict.tone = verdict.word == "better" ? "good" : verdict.word.starts_with("w") ? "bad" : "";
  return verdict;
}

std::string speedup_range(const ChallengeVerdict& verdict) {
  const std::size_t cases = verdict.better + verdict.worse + verdict.unresolved;
  if (cases == 0) {
    return "";
  }
  return cases == 1 ? ratio_text(verdict.lowest) + " in 1 case"
                    : fmt::format("{} to {} in {} cases", ratio_text(verdict.lowest),
                                  ratio_text(verdict.highest), cases);
}

std::string counts_text(const ChallengeVerdict& verdict) {
  std::string text;
  for (const auto& [count, word] : {std::pair{verdict.better, "better"},
                                    {verdict.worse, "worse"},
                                    {verdict.unresolved, "not resolved"}}) {
    if (count > 0) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, word);
    }
  }
  return text;
}

std::string rows_text(const ChallengeVerdict& verdict) {
  std::string text = fmt::format("{} passed", verdict.verified);
  if (verdict.failed > 0) {
    text += fmt::format(", {} did not", verdict.failed);
  }
  return verdict.stale > 0 ? text + fmt::format(", {} stale", verdict.stale) : text;
}

std::string memory_range(const ChallengeBoard& challenge) {
  std::vector<double> ratios;
  for (const auto& [name, row] : surest(challenge)) {
    const auto& memory = row->passed()->memory;
    if (memory && memory->baseline_peak_bytes.value_or(0) > 0) {
      ratios.push_back(static_cast<double>(memory->peak_bytes) /
                       static_cast<double>(*memory->baseline_peak_bytes));
    }
  }
  if (ratios.empty()) {
    return "";
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  const std::string low = fmt::format("{:.2f}x", *least), high = fmt::format("{:.2f}x", *most);
  return low == high ? low : low + " to " + high;
}

std::string peer_range(const ChallengeBoard& challenge) {
  const auto peers = surest(challenge, Role::kPeer);
  std::vector<double> ratios;
  std::size_t behind = 0;
  for (const auto& [name, row] : surest(challenge)) {
    const auto peer = peers.find(name);
    if (peer == peers.end()) {
      continue;
    }
    const Timing &ours = *row->headline(), &theirs = *peer->second->headline();
    if (ours.baseline != theirs.baseline || ours.mode != theirs.mode) {
      continue;
    }
    ratios.push_back(ours.speedup->median / theirs.speedup->median);
    behind += ours.speedup->ci_high < theirs.speedup->ci_low ? 1 : 0;
  }
  if (ratios.empty()) {
    return "";
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  const std::string cases = plural(ratios.size(), "case", "cases");
  const std::string range = ratios.size() == 1
                                ? fmt::format("{} in {}", ratio_text(*least), cases)
                                : fmt::format("{} to {} in {}", ratio_text(*least), ratio_text(*most), cases);
  return behind == 0 ? range : fmt::format("{}, behind in {}", range, behind);
}

ChallengeVerdict checks_verdict(const DeviceBoard& device, const std::string& challenge) {
  ChallengeVerdict verdict;
  for (const Check& check : device.checks) {
    if (check.challenge == challenge && check.outcome != "skipped") {
      ++(check.outcome == "passed" ? verdict.verified : verdict.failed);
    }
  }
  verdict.word = verdict.failed > 0 ? "wrong" : verdict.verified > 0 ? "verified" : "nothing ran";
  verdict.tone = verdict.failed > 0 ? "bad" : "";
  return verdict;
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "–" : text;
}

}  // namespace assay::harness::report
