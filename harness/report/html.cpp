// SPDX-License-Identifier: Apache-2.0
// The scoreboard as one self-contained HTML page: no script, nothing loaded from elsewhere.
#include <fmt/format.h>

#include "harness/report/board.hpp"
#include "harness/report/chart.hpp"
#include "harness/report/format.hpp"
#include "harness/report/html_parts.hpp"
#include "harness/report/html_sections.hpp"
#include "harness/report/style.hpp"

namespace assay::harness {
namespace report {
namespace {

std::string score_card(const RubricBoard& rubric) {
  return fmt::format(
      R"(<div class="card"><div>{}</div><div class="big">{} <small>of {} points</small></div>{})"
      R"(<div class="note">{}</div></div>)",
      escape_html(rubric.title), rubric.total, rubric.possible, points_bar(rubric),
      escape_html(rubric.device));
}

std::string page(const Board& board, const std::vector<Picture>& pictures) {
  std::string scores, environments, sections;
  for (const RubricBoard& rubric : board.rubrics) {
    scores += score_card(rubric);
    sections += rubric_section(board, rubric);
  }
  for (const DeviceBoard& device : board.devices) {
    environments += environment_card(device);
    sections += device_section(device, pictures);
  }
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Assay "
      "scoreboard</title>\n"
      "<style>{}</style></head>\n<body><main>\n<h1>Assay scoreboard</h1>\n"
      "<p class=\"quiet\">Computed from {} and {}; nothing on this page is typed.</p>\n"
      "{}<div class=\"cards scores\">{}</div>\n{}<h2 id=\"environment\">Environment</h2>\n<div "
      "class=\"cards\">{}</div>\n{}</main></body></html>\n",
      kStyle, plural(board.records, "record", "records"), plural(board.checks, "check", "checks"),
      contents(board), scores, verdict_section(board),
      environments.empty() ? "<p>No device has a record here.</p>" : environments, sections);
}

}  // namespace
}  // namespace report

std::string scoreboard_html(const RecordFile& records, const std::vector<Rubric>& rubrics,
                            const CurrentSources& current, const std::vector<Picture>& pictures) {
  return report::page(report::make_board(records, rubrics, current), pictures);
}

}  // namespace assay::harness
