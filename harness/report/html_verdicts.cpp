// SPDX-License-Identifier: Apache-2.0
// The page's first tables: a line a challenge, a line a point of the rubric.
#include <fmt/format.h>

#include <algorithm>

#include "harness/report/format.hpp"
#include "harness/report/html_parts.hpp"
#include "harness/report/html_sections.hpp"
#include "harness/report/proof_link.hpp"
#include "harness/report/verdicts.hpp"

namespace assay::harness::report {
namespace {

std::string link(const std::string& anchor, const std::string& text) {
  return fmt::format(R"(<a href="#{}">{}</a>)", anchor, escape_html(text));
}

std::string verdict_row(const DeviceBoard& device, const ChallengeBoard& challenge) {
  const ChallengeVerdict verdict = challenge_verdict(challenge);
  return "<tr><td class=\"name\">" +
         link(anchor_of_challenge(device.device, challenge.challenge), challenge.challenge) + "</td><td>" +
         pill(verdict.word, verdict.tone) + "</td>" + cell(or_dash(speedup_range(verdict)), "figure") +
         cell(or_dash(counts_text(verdict))) + cell(or_dash(peer_range(challenge)), "figure") +
         cell(or_dash(memory_range(challenge)), "figure") + cell(rows_text(verdict)) + "</tr>\n";
}

/// Leads to the first of its checks: a challenge without cases has a heading only where something is drawn.
std::string checks_row(const DeviceBoard& device, const std::string& challenge) {
  const ChallengeVerdict verdict = checks_verdict(device, challenge);
  const auto first = std::find_if(device.checks.begin(), device.checks.end(),
                                  [&](const Check& check) { return check.challenge == challenge; });
  std::string dashes;
  for (int column = 0; column < 4; ++column) {
    dashes += cell("–", column == 1 ? "" : "figure");
  }
  return "<tr><td class=\"name\">" + link(anchor_of_check(device.device, *first), challenge) + "</td><td>" +
         pill(verdict.word, verdict.tone) + "</td>" + dashes + cell("checks: " + rows_text(verdict)) +
         "</tr>\n";
}

}  // namespace

std::string contents(const Board& board) {
  std::string links = link("verdicts", "Verdicts") + link("environment", "Environment");
  for (const RubricBoard& rubric : board.rubrics) {
    links += link(anchor_of_rubric(rubric), rubric.title);
  }
  for (const DeviceBoard& device : board.devices) {
    links += link(anchor_of_device(device.device), device.device.name);
  }
  return "<nav aria-label=\"Contents\">" + links + "</nav>\n";
}

std::string verdict_section(const Board& board) {
  std::string text;
  for (const DeviceBoard& device : board.devices) {
    if (device.challenges.empty() && without_cases(device).empty()) {
      continue;
    }
    text += fmt::format("<tr class=\"case\"><th colspan=\"7\" scope=\"rowgroup\">{}</th></tr>\n",
                        escape_html(device.device.name));
    for (const ChallengeBoard& challenge : device.challenges) {
      text += verdict_row(device, challenge);
    }
    for (const std::string& challenge : without_cases(device)) {
      text += checks_row(device, challenge);
    }
  }
  return text.empty()
             ? ""
             : "<h2 id=\"verdicts\">Verdicts</h2><p class=\"note\">Of each case the candidate whose interval "
               "starts "
               "highest, over its baseline; over peers by the ratio of both paired medians.</p>" +
                   table_head({"Challenge", "Verdict", ">Speedup, medians", "Timed cases",
                               ">Over the fastest peer", ">VRAM over the baseline's", "Candidates' rows"}) +
                   text + kTableEnd;
}

std::string rubric_section(const Board& board, const RubricBoard& rubric) {
  std::string text =
      fmt::format("<h2 id=\"{}\">{} <span class=\"quiet\">on {}</span></h2>", anchor_of_rubric(rubric),
                  escape_html(rubric.title), escape_html(rubric.device));
  text += table_head({"What", ">Worth", ">Points", "Status", "Proof"});
  for (const auto& [line, decision] : rubric.lines) {
    const std::string anchor = proof_anchor(board, rubric, *line, decision);
    text += "<tr>" + cell(line->text) + cell(fmt::format("{:+}", line->points), "figure") +
            cell(std::to_string(decision.points), "figure") + "<td>" +
            pill(status_word(*line, decision), tone_of(decision.status)) + "</td><td>" +
            escape_html(decision.proof) + (anchor.empty() ? "" : " " + link(anchor, "record")) +
            "</td></tr>\n";
  }
  text += fmt::format(
      R"(<tr><td><strong>Total</strong></td><td class="figure">{}</td><td class="figure"><strong>{}</strong></td>)"
      "<td></td><td></td></tr>\n",
      rubric.possible, rubric.total);
  return text + kTableEnd;
}

}  // namespace assay::harness::report
