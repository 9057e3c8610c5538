// SPDX-License-Identifier: Apache-2.0
// The scoreboard before it has a form: what Markdown and HTML both show, decided once.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "harness/report/history.hpp"
#include "harness/report/report.hpp"

namespace assay::harness::report {

struct Row {
  Record record;
  bool stale = false;

  const Passed* passed() const { return std::get_if<Passed>(&record.outcome); }
  /// The first timing, nullptr when none was taken.
  const Timing* headline() const;
  /// "challenge/case/implementation", as filters take it.
  std::string path() const;
  /// The implementation, with how it ran where that is not the usual way: "cuda_fused (ptx_jit of sm_75)".
  std::string label() const;
};

/// A row's table cells as plain text; "–" where there is nothing to say.
struct Cells {
  std::string speedup, verdict, baseline, time, other_modes, memory, parity, ceiling;
};
Cells cells_of(const Row& row);

struct ChallengeBoard {
  std::string suite, challenge;
  std::vector<std::string> cases;  ///< in order of first appearance
  std::vector<Row> rows;           ///< by case, then candidates, peers, baselines, others
};

struct Fact {
  std::string label, value;
  std::vector<std::string> details = {};  ///< a line each, folded where the page can fold
};

struct DeviceBoard {
  DeviceInfo device;
  std::vector<Fact> environment;
  std::map<std::string, double> ceilings;  ///< "copy_gbps" …, of the newest measurement
  std::vector<ChallengeBoard> challenges;
  std::vector<Check> checks;
  std::vector<History> histories;  ///< of this device's rows
};

struct RubricBoard {
  std::string suite, title, device;  ///< device: on whose evidence
  std::vector<std::pair<const RubricLine*, RubricLine::Decision>> lines;
  int total = 0, possible = 0;  ///< sums of decided points and of positive points
};

struct Board {
  std::vector<RubricBoard> rubrics;
  std::vector<DeviceBoard> devices;  ///< GPUs first
  std::size_t records = 0, checks = 0;
};

/// `rubrics` outlive the board. Each GPU's rubric is decided on that GPU's evidence and that of all CPUs;
/// where a suite ran on no GPU, once on the CPUs'.
Board make_board(const RecordFile& file, const std::vector<Rubric>& rubrics, const CurrentSources& current);

/// Order of roles in tables; candidates come first: they are what the page is about.
int rank_of(Role role);
/// "earned", "lost", "open", "stale"; for a line of negative points "avoided" when it did not come true.
std::string_view status_word(const RubricLine& line, const RubricLine::Decision& decision);
/// One line of a check's evidence: scalars by name, lists by length.
std::string evidence_text(const Check& check);
/// Labels of rows with a time anywhere in the challenge: candidates, peers, baselines.
std::vector<std::string> timed_implementations(const ChallengeBoard& challenge);
/// One case's times in the headline mode, in the order of `timed_implementations`; "–" where there is none.
struct TimesOfCase {
  std::string case_name;
  std::vector<std::string> cells;
  std::size_t fastest = 0;
};
std::vector<TimesOfCase> times_side_by_side(const ChallengeBoard& challenge);
/// Challenges that have checks and no records; those of the harness itself are none.
std::vector<std::string> without_cases(const DeviceBoard& device);
/// Rows that should have passed: wrong, failed, timed out, out of memory.
std::vector<const Row*> failures(const DeviceBoard& device);
/// Skipped rows by implementation and reason, with how many cases it holds for.
struct SkippedGroup {
  std::string challenge, implementation, reason;
  std::size_t cases = 0;
};
std::vector<SkippedGroup> skipped(const DeviceBoard& device);

}  // namespace assay::harness::report
