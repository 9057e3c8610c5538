// SPDX-License-Identifier: Apache-2.0
// A challenge's pictures: sweeps, rooflines, memory, history.
#include <fmt/format.h>

#include "harness/report/error_chart.hpp"
#include "harness/report/format.hpp"
#include "harness/report/heat_map.hpp"
#include "harness/report/history_chart.hpp"
#include "harness/report/html_parts.hpp"
#include "harness/report/html_sections.hpp"
#include "harness/report/memory_chart.hpp"
#include "harness/report/roofline.hpp"

namespace assay::harness::report {
namespace {

std::string figure(const std::string& title, const std::string& chart) {
  return chart.empty() ? "" : fmt::format("<figure><h4>{}</h4>{}</figure>\n", escape_html(title), chart);
}

std::string heat_cell(const Timing* timing) {
  if (timing == nullptr) {
    return "<td></td>";
  }
  const int heat = heat_of(*timing);
  return fmt::format(R"(<td class="heat {}{}" title="{} over {}">{}</td>)", heat < 0 ? "slower" : "faster",
                     heat < 0 ? -heat : heat, interval_text(*timing->speedup), escape_html(timing->baseline),
                     ratio_text(timing->speedup->median));
}

std::string heat_table(const HeatMap& map) {
  std::string head = "<td></td>", rows;
  for (const std::string& column : map.columns) {
    head += fmt::format("<th scope=\"col\">{}</th>", escape_html(column));
  }
  for (std::size_t i = 0; i < map.rows.size(); ++i) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", escape_html(map.rows[i]));
    for (const Timing* timing : map.cells[i]) {
      rows += heat_cell(timing);
    }
    rows += "</tr>\n";
  }
  const std::string fixed = map.fixed.empty() ? "" : ", " + map.fixed;
  return fmt::format(
      "<figure class=\"sweep\"><h4>{}{}</h4><table><thead><tr>{}</tr></thead><tbody>{}</tbody>"
      "</table></figure>\n",
      escape_html(map.implementation), escape_html(fixed), head, rows);
}

}  // namespace

std::string heat_section(const ChallengeBoard& challenge) {
  std::string tables;
  for (const HeatMap& map : heat_maps(challenge)) {
    tables += heat_table(map);
  }
  return tables.empty()
             ? ""
             : "<p class=\"note\">Speedup over the baseline across the sweep; blue faster, vermilion "
               "slower, grey not resolved, stronger from 1.2x and 2x; of several inputs of one shape "
               "the least sure.</p><div class=\"sweeps\">" +
                   tables + "</div>\n";
}

std::string ceiling_section(const DeviceBoard& device, const ChallengeBoard& challenge) {
  const std::string charts = figure("Roofline, ceilings measured on this device",
                                    scatter_chart(roofline(challenge, device.ceilings))) +
                             figure("Bytes a second, under the copy rate measured on this device",
                                    scatter_chart(copy_line(challenge, device.ceilings)));
  return charts.empty() ? ""
                        : charts +
                              "<p class=\"note\">Circles: candidates, diamonds: peers, squares: baselines; "
                              "the fastest candidate of each case is named. Bytes are those of inputs and "
                              "outputs, so a call that keeps intermediates stands further below.</p>\n";
}

std::string error_section(const ChallengeBoard& challenge) {
  return folded("Distance from the correctly rounded truth, beside the baseline's on the same cases",
                figure("Share of elements by units in the last place", error_chart(challenge)));
}

std::string memory_section(const ChallengeBoard& challenge) {
  std::string charts;
  std::size_t cases = 0;
  for (const std::string& name : challenge.cases) {
    const std::string chart = figure(name, memory_chart(challenge, name));
    cases += chart.empty() ? 0 : 1;
    charts += chart;
  }
  constexpr const char* kLegend =
      "<p class=\"note\"><span class=\"swatch tensors\"></span> tensors <span class=\"swatch pool\"></span> "
      "graph "
      "pool <span class=\"swatch outside\"></span> outside torch; each case on an axis of its own, from "
      "0</p>";
  return charts.empty()
             ? ""
             : folded(fmt::format("Memory above inputs and outputs, {}", plural(cases, "case", "cases")),
                      kLegend + charts);
}

std::string history_section(const DeviceBoard& device, const ChallengeBoard& challenge) {
  std::string rows;
  std::size_t changed = 0, all = 0;
  for (const History& history : device.histories) {
    if (history.challenge != challenge.challenge) {
      continue;
    }
    ++all;
    changed += history.changes.empty() ? 0 : 1;
    rows += "<tr>" + cell(history.case_name) + cell(history.implementation, "name") + "<td>" +
            history_chart(history) + "</td>" + cell(interval_text(history.points.back().speedup), "figure") +
            cell(history.changes.empty() ? "–" : changes_text(history)) + "</tr>\n";
  }
  return rows.empty() ? ""
                      : folded(fmt::format("History: {} measured more than once, {} changed",
                                           plural(all, "row", "rows"), changed),
                               table_head({"Case", "Implementation", "Speedup, old to new", ">Newest",
                                           "Where it changed"}) +
                                   rows + kTableEnd);
}

std::string picture_section(const DeviceBoard& device, const std::string& challenge,
                            const std::vector<Picture>& pictures) {
  std::string charts;
  for (const Picture& picture : pictures) {
    for (const Check& check : device.checks) {
      if (picture.challenge == challenge && check.challenge == challenge && check.check == picture.check) {
        charts += figure(picture.title, picture.draw(check));
      }
    }
  }
  return charts;
}

}  // namespace assay::harness::report
