// SPDX-License-Identifier: Apache-2.0
#include "harness/report/history_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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

/// Geometric mean of medians.
double level_between(const History& history, std::size_t first, std::size_t end) {
  double sum = 0;
  for (std::size_t i = first; i < end; ++i) {
    sum += std::log(history.points[i].speedup.median);
  }
  return std::exp(sum / static_cast<double>(end - first));
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
  std::vector<std::size_t> starts = {0};
  starts.insert(starts.end(), history.changes.begin(), history.changes.end());
  starts.push_back(history.points.size());
  std::string text;
  for (std::size_t level = 1; level + 1 < starts.size(); ++level) {
    const Measured& first = history.points[starts[level]];
    text += fmt::format("{}{} → {} on {} ({})", text.empty() ? "" : "; ",
                        ratio_text(level_between(history, starts[level - 1], starts[level])),
                        ratio_text(level_between(history, starts[level], starts[level + 1])),
                        first.utc.substr(0, 10), short_commit(first.commit));
  }
  return text;
}

}  // namespace assay::harness::report
