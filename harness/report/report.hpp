// SPDX-License-Identifier: Apache-2.0
// Pure functions from records to text. Nothing here measures, and no figure is typed: all come out of
// records.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/record/record.hpp"
#include "harness/report/pictures.hpp"

namespace assay::harness {

/// Current hash per (challenge, implementation), to mark rows whose sources changed since they were measured.
using CurrentSources = std::map<std::pair<std::string, std::string>, std::string>;

/// One line of a challenge's rubric: what it takes and what it is worth. Supplied by the suite
/// (suites/X/rubric.cpp).
struct RubricLine {
  std::string text;
  int points = 0;  ///< what counts when `decide` says earned (negative lines: when true)
  enum class Status { kEarned, kLost, kOpen, kStale };
  struct Decision {
    Status status = Status::kOpen;
    int points = 0;
    std::string proof;  ///< which record or check, in words with its figure
  };
  std::function<Decision(const RecordFile&, const CurrentSources&)> decide;
  /// What decides it, "challenge/checks/name" or a challenge; where empty, what the proof names leads to it.
  std::string evidence = {};
};
struct Rubric {
  std::string suite, title;
  std::vector<RubricLine> lines;
};

std::string scoreboard_markdown(const RecordFile& records, const std::vector<Rubric>& rubrics,
                                const CurrentSources& current);
std::string scoreboard_html(const RecordFile& records, const std::vector<Rubric>& rubrics,
                            const CurrentSources& current, const std::vector<Picture>& pictures = {});

enum class RowVerdict { kBetter, kWorse, kSame, kNotResolved, kMissing, kNew };
struct ComparedRow {
  std::string challenge, case_name, implementation, what;  ///< what: "speed", "memory", "parity", "outcome"
  RowVerdict verdict = RowVerdict::kSame;
  std::string old_value, new_value, note;
};
std::vector<ComparedRow> compare_records(const RecordFile& old_records, const RecordFile& new_records);
std::string compare_table(const std::vector<ComparedRow>& rows);

struct GateOptions {
  double slower_percent =
      3.0;  ///< fails when the new speedup's interval lies wholly below old by more than this
  double larger_percent = 0.0;  ///< memory is deterministic
  bool strict = false;          ///< not resolved counts as a failure
};
struct GateResult {
  bool passed = false;
  std::vector<ComparedRow> offending;
};
GateResult gate(const RecordFile& baseline, const RecordFile& current, const GateOptions& options);

}  // namespace assay::harness
