// SPDX-License-Identifier: Apache-2.0
// The scoreboard as one self-contained HTML page: no script, nothing loaded from elsewhere.
#include <fmt/format.h>

#include <set>

#include "harness/report/board.hpp"
#include "harness/report/chart.hpp"
#include "harness/report/format.hpp"
#include "harness/report/style.hpp"

namespace assay::harness {
namespace report {
namespace {

/// Charts beyond these stand folded: a checkpoint brings dozens of matrices.
constexpr std::size_t kOpenCharts = 8;

std::string pill(std::string_view word, std::string_view tone) {
  return fmt::format(R"(<span class="pill {}">{}</span>)", tone, escape_html(word));
}

std::string_view tone_of(const Row& row) {
  if (row.passed() == nullptr) {
    return std::holds_alternative<Skipped>(row.record.outcome) ? "" : "bad";
  }
  if (row.stale || row.headline() == nullptr || !row.headline()->speedup) {
    return "";
  }
  const Verdict verdict = row.headline()->verdict;
  return verdict == Verdict::kBetter ? "good" : verdict == Verdict::kWorse ? "bad" : "";
}

std::string_view tone_of(RubricLine::Status status) {
  return status == RubricLine::Status::kEarned ? "good" : status == RubricLine::Status::kLost ? "bad" : "";
}

std::string cell(const std::string& text, std::string_view classes = "") {
  return fmt::format(R"(<td class="{}">{}</td>)", classes, escape_html(text));
}

/// Titles that start with '>' stand over columns of figures.
std::string table_head(const std::vector<std::string>& titles) {
  std::string cells;
  for (const std::string& title : titles) {
    const bool figure = title.starts_with('>');
    cells += fmt::format(R"(<th scope="col" class="{}">{}</th>)", figure ? "figure" : "",
                         escape_html(figure ? title.substr(1) : title));
  }
  return fmt::format(R"(<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>)", cells);
}

constexpr const char* kTableEnd = "</tbody></table></div>\n";

std::string score_card(const RubricBoard& rubric) {
  return fmt::format(
      R"(<div class="card"><div>{}</div><div class="big">{} <small>of {} points</small></div>{})"
      R"(<div class="note">{}</div></div>)",
      escape_html(rubric.title), rubric.total, rubric.possible, points_bar(rubric),
      escape_html(rubric.device));
}

std::string environment_card(const DeviceBoard& device) {
  std::string facts;
  for (const Fact& fact : device.environment) {
    facts += fmt::format("<dt>{}</dt><dd>{}</dd>", escape_html(fact.label), escape_html(fact.value));
  }
  return fmt::format(R"(<div class="card"><strong>{}</strong><dl>{}</dl></div>)",
                     escape_html(device.device.name), facts);
}

std::string rubric_section(const RubricBoard& rubric) {
  std::string text = fmt::format("<h2>{} <span class=\"quiet\">on {}</span></h2>", escape_html(rubric.title),
                                 escape_html(rubric.device));
  text += table_head({"What", ">Worth", ">Points", "Status", "Proof"});
  for (const auto& [line, decision] : rubric.lines) {
    text += "<tr>" + cell(line->text) + cell(fmt::format("{:+}", line->points), "figure") +
            cell(std::to_string(decision.points), "figure") + "<td>" +
            pill(status_word(*line, decision), tone_of(decision.status)) + "</td>" + cell(decision.proof) +
            "</tr>\n";
  }
  text += fmt::format(
      R"(<tr><td><strong>Total</strong></td><td class="figure">{}</td><td class="figure"><strong>{}</strong></td>)"
      "<td></td><td></td></tr>\n",
      rubric.possible, rubric.total);
  return text + kTableEnd;
}

std::string failure_section(const DeviceBoard& device) {
  std::string items;
  for (const Row* row : failures(device)) {
    items += fmt::format("<li>{} <code>{}</code>: {}<br><code>assay run '{}'</code></li>",
                         pill(cells_of(*row).verdict, "bad"), escape_html(row->path()),
                         escape_html(outcome_reason(row->record.outcome)), escape_html(row->path()));
  }
  for (const Check& check : device.checks) {
    if (check.outcome == "wrong" || check.outcome == "failed") {
      items += fmt::format(
          "<li>{} check <code>{}</code> of {}: {}</li>", pill(check.outcome, "bad"), escape_html(check.check),
          escape_html(check.challenge.empty() ? check.suite : check.challenge), escape_html(check.reason));
    }
  }
  return items.empty()
             ? ""
             : fmt::format(R"(<h3>What did not pass</h3><div class="card failures"><ul>{}</ul></div>)",
                           items);
}

std::string charts(const ChallengeBoard& challenge) {
  std::vector<std::string> figures;
  for (const std::string& name : challenge.cases) {
    const std::string chart = case_chart(challenge, name);
    if (!chart.empty()) {
      figures.push_back(fmt::format("<figure><h4>{}</h4>{}</figure>\n", escape_html(name), chart));
    }
  }
  if (figures.empty()) {
    return "";
  }
  std::string text =
      "<p class=\"note\">Left: time of the baseline over time of the implementation, pair by pair in one "
      "run; dot: "
      "median, bar: 95 % interval, ticks: single pairs, dashed: equally fast; logarithmic, each case on an "
      "axis of its "
      "own. Right: share of the ceiling measured in the same run.</p>\n";
  for (std::size_t i = 0; i < figures.size(); ++i) {
    if (i == kOpenCharts) {
      text +=
          fmt::format("<details><summary>{} more</summary>\n", plural(figures.size() - i, "case", "cases"));
    }
    text += figures[i];
  }
  return text + (figures.size() > kOpenCharts ? "</details>\n" : "");
}

/// Whom the case's speedups are over; more than one name when they differ.
std::string baselines_of(const ChallengeBoard& challenge, const std::string& case_name) {
  std::set<std::string> names;
  for (const Row& row : challenge.rows) {
    if (row.record.case_name == case_name && row.headline() != nullptr && row.headline()->speedup) {
      names.insert(row.headline()->baseline);
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string case_head(const ChallengeBoard& challenge, const std::string& case_name) {
  const std::string over = baselines_of(challenge, case_name);
  return fmt::format(
      R"(<tr class="case"><th colspan="8" scope="rowgroup">{}{}</th></tr>)"
      "\n",
      escape_html(case_name),
      over.empty() ? "" : fmt::format(R"( <span class="against">speedup over {}</span>)", escape_html(over)));
}

/// Parts that "; " joins, a line each.
std::string lines_cell(std::string text) {
  for (std::size_t at = text.find("; "); at != std::string::npos; at = text.find("; ", at + 1)) {
    text.replace(at, 2, "\n");
  }
  return cell(text, "lines");
}

std::string case_table(const ChallengeBoard& challenge) {
  std::string text =
      table_head({"Implementation", ">Speedup, 95 % interval", "Verdict", ">Time of a call", "Other modes",
                  "VRAM above inputs and outputs", "Parity", ">Share of ceiling"});
  std::string last_case;
  for (const Row& row : challenge.rows) {
    if (row.record.case_name != last_case) {
      last_case = row.record.case_name;
      text += case_head(challenge, last_case);
    }
    const Cells cells = cells_of(row);
    text += fmt::format("<tr title=\"assay run &#39;{}&#39;\">", escape_html(row.path())) +
            cell(row.label(), "name") + cell(cells.speedup, "figure") + "<td>" +
            pill(cells.verdict, tone_of(row)) + "</td>" + cell(cells.time, "figure") +
            lines_cell(cells.other_modes) + lines_cell(cells.memory) + lines_cell(cells.parity) +
            cell(cells.ceiling, "share") + "</tr>\n";
  }
  return text + kTableEnd;
}

std::string side_by_side(const ChallengeBoard& challenge) {
  const std::vector<std::string> names = timed_implementations(challenge);
  if (names.size() < 2) {
    return "";
  }
  std::vector<std::string> titles = {"Case"};
  for (const std::string& name : names) {
    titles.push_back(">" + name);
  }
  std::string text = "<h3>Side by side: time of a call, fastest marked</h3>" + table_head(titles);
  for (const TimesOfCase& times : times_side_by_side(challenge)) {
    text += "<tr>" + cell(times.case_name, "name");
    for (std::size_t i = 0; i < times.cells.size(); ++i) {
      text += cell(times.cells[i], i == times.fastest ? "figure fastest" : "figure");
    }
    text += "</tr>\n";
  }
  return text + kTableEnd;
}

std::string check_section(const DeviceBoard& device) {
  if (device.checks.empty()) {
    return "";
  }
  std::string text = "<h3>Checks</h3>" + table_head({"Check", "Of", "Outcome", "Evidence"});
  for (const Check& check : device.checks) {
    const std::string_view tone = check.outcome == "passed"    ? "good"
                                  : check.outcome == "skipped" ? ""
                                                               : "bad";
    text += "<tr>" + cell(check.check, "name") +
            cell(check.challenge.empty() ? check.suite : check.challenge) + "<td>" +
            pill(check.outcome, tone) + "</td>" + cell(evidence_text(check)) + "</tr>\n";
  }
  return text + kTableEnd;
}

std::string skipped_section(const DeviceBoard& device) {
  std::string items;
  for (const SkippedGroup& group : skipped(device)) {
    items += fmt::format("<li><code>{}</code> {} in {}: {}</li>", escape_html(group.implementation),
                         escape_html(group.challenge), plural(group.cases, "case", "cases"),
                         escape_html(group.reason));
  }
  return items.empty() ? "" : fmt::format("<h3>Skipped</h3><ul class=\"note\">{}</ul>\n", items);
}

std::string device_section(const DeviceBoard& device) {
  std::string text = fmt::format("<h2>{} <span class=\"quiet\">{}</span></h2>",
                                 escape_html(device.device.name), escape_html(device.device.arch));
  text += failure_section(device);
  for (const ChallengeBoard& challenge : device.challenges) {
    text += fmt::format("<h3>{}</h3>", escape_html(challenge.challenge)) + charts(challenge) +
            case_table(challenge) + side_by_side(challenge);
  }
  return text + check_section(device) + skipped_section(device);
}

std::string page(const Board& board) {
  std::string scores, environments, sections;
  for (const RubricBoard& rubric : board.rubrics) {
    scores += score_card(rubric);
    sections += rubric_section(rubric);
  }
  for (const DeviceBoard& device : board.devices) {
    environments += environment_card(device);
    sections += device_section(device);
  }
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Assay "
      "scoreboard</title>\n"
      "<style>{}</style></head>\n<body><main>\n<h1>Assay scoreboard</h1>\n"
      "<p class=\"quiet\">Computed from {} and {}; nothing on this page is typed.</p>\n"
      "<div class=\"cards scores\">{}</div>\n<h2>Environment</h2>\n<div "
      "class=\"cards\">{}</div>\n{}</main></body></html>\n",
      kStyle, plural(board.records, "record", "records"), plural(board.checks, "check", "checks"), scores,
      environments.empty() ? "<p>No device has a record here.</p>" : environments, sections);
}

}  // namespace
}  // namespace report

std::string scoreboard_html(const RecordFile& records, const std::vector<Rubric>& rubrics,
                            const CurrentSources& current) {
  return report::page(report::make_board(records, rubrics, current));
}

}  // namespace assay::harness
