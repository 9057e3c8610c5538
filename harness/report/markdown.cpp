// SPDX-License-Identifier: Apache-2.0
// The scoreboard as Markdown.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "harness/report/board.hpp"
#include "harness/report/format.hpp"
#include "harness/report/verdicts.hpp"

namespace assay::harness {
namespace report {
namespace {

using Texts = std::vector<std::string>;

std::string table_row(const Texts& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) {
    line += " " + escape_markdown(cell) + " |";
  }
  return line + "\n";
}

/// `right`: columns of figures, aligned to the right.
std::string table_head(const Texts& titles, const std::vector<std::size_t>& right = {}) {
  std::string line = "|";
  for (std::size_t i = 0; i < titles.size(); ++i) {
    line += std::find(right.begin(), right.end(), i) == right.end() ? "---|" : "--:|";
  }
  return table_row(titles) + line + "\n";
}

std::string headline(const Board& board) {
  std::string text = "# Assay scoreboard\n\n";
  for (const RubricBoard& rubric : board.rubrics) {
    text += fmt::format("**{}: {} of {} points** on {}  \n", escape_markdown(rubric.suite), rubric.total,
                        rubric.possible, escape_markdown(rubric.device));
  }
  text += fmt::format("\nComputed from {} and {} by `assay report`; nothing on this page is typed.\n\n",
                      plural(board.records, "record", "records"), plural(board.checks, "check", "checks"));
  return text;
}

Texts environment_labels(const Board& board) {
  Texts labels;
  for (const DeviceBoard& device : board.devices) {
    for (const Fact& fact : device.environment) {
      if (std::find(labels.begin(), labels.end(), fact.label) == labels.end()) {
        labels.push_back(fact.label);
      }
    }
  }
  return labels;
}

std::string environment(const Board& board) {
  if (board.devices.empty()) {
    return "No device has a record here.\n\n";
  }
  Texts titles = {"Environment"};
  for (const DeviceBoard& device : board.devices) {
    titles.push_back(device.device.name);
  }
  std::string text = table_head(titles);
  for (const std::string& label : environment_labels(board)) {
    Texts cells = {label};
    for (const DeviceBoard& device : board.devices) {
      const auto fact = std::find_if(device.environment.begin(), device.environment.end(),
                                     [&](const Fact& f) { return f.label == label; });
      cells.push_back(fact == device.environment.end() ? "–" : fact->value);
    }
    text += table_row(cells);
  }
  return text + "\n";
}

std::string verdicts(const Board& board) {
  std::string text = table_head({"Challenge", "Device", "Verdict", "Speedup, medians",
                                 "Over the fastest peer", "VRAM over the baseline's", "Candidates' rows"},
                                {3, 4, 5});
  std::size_t challenges = 0;
  for (const DeviceBoard& device : board.devices) {
    for (const ChallengeBoard& challenge : device.challenges) {
      const ChallengeVerdict verdict = challenge_verdict(challenge);
      text +=
          table_row({challenge.challenge, device.device.name, verdict.word, or_dash(speedup_range(verdict)),
                     or_dash(peer_range(challenge)), or_dash(memory_range(challenge)), rows_text(verdict)});
      ++challenges;
    }
    for (const std::string& challenge : without_cases(device)) {
      const ChallengeVerdict verdict = checks_verdict(device, challenge);
      text += table_row(
          {challenge, device.device.name, verdict.word, "–", "–", "–", "checks: " + rows_text(verdict)});
      ++challenges;
    }
  }
  return challenges == 0 ? "" : "## Verdicts\n\n" + text + "\n";
}

std::string rubric_table(const RubricBoard& rubric) {
  std::string text = fmt::format("## {} ({} of {}, {})\n\n", escape_markdown(rubric.title), rubric.total,
                                 rubric.possible, escape_markdown(rubric.device));
  text += table_head({"What", "Worth", "Points", "Status", "Proof"}, {1, 2});
  for (const auto& [line, decision] : rubric.lines) {
    text += table_row({line->text, fmt::format("{:+}", line->points), std::to_string(decision.points),
                       std::string(status_word(*line, decision)), decision.proof});
  }
  return text + "\n";
}

std::string failure_list(const DeviceBoard& device) {
  std::string text;
  for (const Row* row : failures(device)) {
    text += fmt::format("- **{}** `{}`: {} (again: `assay run '{}'`)\n", cells_of(*row).verdict, row->path(),
                        escape_markdown(outcome_reason(row->record.outcome)), row->path());
  }
  for (const Check& check : device.checks) {
    if (check.outcome == "wrong" || check.outcome == "failed") {
      text += fmt::format("- **{}** check `{}` of {}: {}\n", check.outcome, check.check,
                          escape_markdown(check.challenge.empty() ? check.suite : check.challenge),
                          escape_markdown(check.reason));
    }
  }
  return text.empty() ? "" : "### What did not pass\n\n" + text + "\n";
}

std::string case_table(const ChallengeBoard& challenge) {
  std::string text = fmt::format("### {}\n\n", escape_markdown(challenge.challenge));
  text +=
      table_head({"Case", "Implementation", "Speedup, 95 % interval", "Verdict", "Against", "Time of a call",
                  "Other modes", "VRAM above inputs and outputs", "Parity", "Share of ceiling"},
                 {2, 5, 9});
  for (const Row& row : challenge.rows) {
    const Cells cells = cells_of(row);
    text += table_row({row.record.case_name, row.label(), cells.speedup, cells.verdict, cells.baseline,
                       cells.time, cells.other_modes, cells.memory, cells.parity, cells.ceiling});
  }
  return text + "\n";
}

std::string side_by_side(const ChallengeBoard& challenge) {
  const Texts names = timed_implementations(challenge);
  if (names.size() < 2) {
    return "";
  }
  Texts titles = {"Time of a call"};
  titles.insert(titles.end(), names.begin(), names.end());
  std::vector<std::size_t> right;
  for (std::size_t i = 1; i < titles.size(); ++i) {
    right.push_back(i);
  }
  std::string text = fmt::format("#### {}: side by side\n\n{}", escape_markdown(challenge.challenge),
                                 table_head(titles, right));
  for (const TimesOfCase& times : times_side_by_side(challenge)) {
    text += "| " + escape_markdown(times.case_name) + " |";
    for (std::size_t i = 0; i < times.cells.size(); ++i) {
      text += i == times.fastest ? " **" + times.cells[i] + "** |" : " " + times.cells[i] + " |";
    }
    text += "\n";
  }
  return text + "\n";
}

std::string check_table(const DeviceBoard& device) {
  if (device.checks.empty()) {
    return "";
  }
  std::string text = "### Checks\n\n" + table_head({"Check", "Of", "Outcome", "Evidence"});
  for (const Check& check : device.checks) {
    text += table_row({check.check, check.challenge.empty() ? check.suite : check.challenge, check.outcome,
                       evidence_text(check)});
  }
  return text + "\n";
}

std::string skipped_list(const DeviceBoard& device) {
  std::string text;
  for (const SkippedGroup& group : skipped(device)) {
    text += fmt::format("- `{}` {} in {}: {}\n", group.implementation, escape_markdown(group.challenge),
                        plural(group.cases, "case", "cases"), escape_markdown(group.reason));
  }
  return text.empty() ? "" : "### Skipped\n\n" + text + "\n";
}

std::string device_section(const DeviceBoard& device) {
  std::string text = fmt::format("## {} ({})\n\n", escape_markdown(device.device.name), device.device.arch);
  text += failure_list(device);
  for (const ChallengeBoard& challenge : device.challenges) {
    text += case_table(challenge) + side_by_side(challenge);
  }
  return text + check_table(device) + skipped_list(device);
}

}  // namespace
}  // namespace report

std::string scoreboard_markdown(const RecordFile& records, const std::vector<Rubric>& rubrics,
                                const CurrentSources& current) {
  const report::Board board = report::make_board(records, rubrics, current);
  std::string text = report::headline(board) + report::verdicts(board) + report::environment(board);
  for (const report::RubricBoard& rubric : board.rubrics) {
    text += report::rubric_table(rubric);
  }
  for (const report::DeviceBoard& device : board.devices) {
    text += report::device_section(device);
  }
  while (text.ends_with("\n\n")) {
    text.pop_back();
  }
  return text;
}

}  // namespace assay::harness
