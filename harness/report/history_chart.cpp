// SPDX-License-Identifier: Apache-2.0
#include "harness/report/history_chart.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/axis.hpp"
#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

constexpr double kWidth = 220, kHeight = 44, kMargin = 10;

Axis axis_of(const History& history) {
  double low = history.points.front().speedup.ci_low, high = history.points.front().speedup.ci_high;
  for (const Measured& point : history.points) {
    low = std::min(low, point.speedup.ci_low);
    high = std::max(high, point.speedup.ci_high);
  }
  // At least a tenth: noise of a per mille must not look like a mountain.
  return {.low = low / 1.02,
          .high = std::max(high * 1.02, low * 1.1),
          .logarithmic = true,
          .from = kHeight - 4,
          .to = 4};
}

}  // namespace

std::string history_chart(const History& history) {
  const Axis axis = axis_of(history);
  const double step = (kWidth - 2 * kMargin) / static_cast<double>(history.points.size() - 1);
  std::string marks;
  for (const std::size_t change : history.changes) {
    marks += fmt::format(R"(<path class="one" d="M{:.1f} 2V{:.0f}"/>)",
                         kMargin + step * (static_cast<double>(change) - 0.5), kHeight - 2);
  }
  for (std::size_t i = 0; i < history.points.size(); ++i) {
    const Measured& point = history.points[i];
    const double x = kMargin + step * static_cast<double>(i);
    marks += fmt::format(R"(<g class="ours"><title>{} {} {}</title><path class="interval" d="M{:.1f} )"
                         R"({:.1f}V{:.1f}"/><circle cx="{:.1f}" cy="{:.1f}" r="3"/></g>)",
                         escape_html(point.utc), escape_html(short_commit(point.commit)),
                         interval_text(point.speedup), x, axis.at(point.speedup.ci_low),
                         axis.at(point.speedup.ci_high), x, axis.at(point.speedup.median));
  }
  return fmt::format(R"(<svg class="spark" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="Speedup of {} )"
                     R"(over time">{}</svg>)",
                     kWidth, kHeight, escape_html(history.implementation), marks);
}

std::string changes_text(const History& history) {
  std::string text;
  for (const std::size_t change : history.changes) {
    const Measured &before = history.points[change - 1], &after = history.points[change];
    text +=
        fmt::format("{}{} → {} on {} ({})", text.empty() ? "" : "; ", ratio_text(before.speedup.median),
                    ratio_text(after.speedup.median), after.utc.substr(0, 10), short_commit(after.commit));
  }
  return text;
}

}  // namespace assay::harness::report
