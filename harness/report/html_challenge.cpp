// SPDX-License-Identifier: Apache-2.0
// A challenge on the page: its pictures, its cases, who is fastest.
#include <fmt/format.h>

#include <set>

#include "harness/report/chart.hpp"
#include "harness/report/format.hpp"
#include "harness/report/html_parts.hpp"
#include "harness/report/html_sections.hpp"
#include "harness/report/verdicts.hpp"

namespace assay::harness::report {
namespace {

/// Charts beyond these stand folded: a checkpoint brings dozens of matrices.
constexpr std::size_t kOpenCharts = 4;
/// A longer table stands folded, behind what sums it up.
constexpr std::size_t kOpenRows = 40;

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
      R"(<tr class="case"><th colspan="9" scope="rowgroup">{}{}</th></tr>)"
      "\n",
      escape_html(case_name),
      over.empty() ? "" : fmt::format(R"( <span class="against">speedup over {}</span>)", escape_html(over)));
}

/// What runs the row again, and what made it.
std::string replay_cell(const Row& row) {
  const Provenance& made = row.record.provenance;
  return "<td>" +
         folded("command",
                command(replay_command(row.path())) +
                    fmt::format("<p class=\"note\">measured {} at {} by {}</p>", escape_html(made.utc),
                                escape_html(short_commit(made.commit)), command(made.command))) +
         "</td>";
}

std::string case_table(const ChallengeBoard& challenge) {
  std::string text =
      table_head({"Implementation", ">Speedup, 95 % interval", "Verdict", ">Time of a call", "Other modes",
                  "VRAM above inputs and outputs", "Parity", ">Share of ceiling", "Again"});
  std::string last_case;
  for (const Row& row : challenge.rows) {
    if (row.record.case_name != last_case) {
      last_case = row.record.case_name;
      text += case_head(challenge, last_case);
    }
    const Cells cells = cells_of(row);
    text += "<tr>" + cell(row.label(), "name") + cell(cells.speedup, "figure") + "<td>" +
            pill(cells.verdict, tone_of(row)) + "</td>" + cell(cells.time, "figure") +
            lines_cell(cells.other_modes) + lines_cell(cells.memory) + lines_cell(cells.parity) +
            cell(cells.ceiling, "share") + replay_cell(row) + "</tr>\n";
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

}  // namespace

std::string challenge_section(const DeviceBoard& device, const ChallengeBoard& challenge,
                              const std::vector<Picture>& pictures) {
  const ChallengeVerdict verdict = challenge_verdict(challenge);
  const std::string table = case_table(challenge);
  return fmt::format("<h3 id=\"{}\">{} {} <span class=\"against\">{}</span></h3>",
                     anchor_of_challenge(device.device, challenge.challenge),
                     escape_html(challenge.challenge), pill(verdict.word, verdict.tone),
                     speedup_range(verdict)) +
         picture_section(device, challenge.challenge, pictures) + heat_section(challenge) +
         charts(challenge) + ceiling_section(device, challenge) + side_by_side(challenge) +
         memory_section(challenge) + error_section(challenge) + history_section(device, challenge) +
         (challenge.rows.size() > kOpenRows
              ? folded(
                    fmt::format("All {} rows, with the command that runs each again", challenge.rows.size()),
                    table)
              : table);
}

}  // namespace assay::harness::report
