// SPDX-License-Identifier: Apache-2.0
#include "harness/report/scatter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "harness/report/axis.hpp"
#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

// The plane in user units; the SVG scales to the page.
constexpr double kWidth = 1000, kHeight = 380, kLeft = 84, kRight = 640, kTop = 14, kBottom = 326;
constexpr double kLabelRow = 16;
constexpr std::size_t kLabelLetters = 46;  ///< that have room right of the plane

std::string_view role_class(Role role) {
  return role == Role::kCandidate ? "ours" : role == Role::kPeer ? "peer" : "baseline";
}

struct Plane {
  Axis x, y;
};

Plane plane_of(const Scatter& scatter) {
  std::vector<double> xs, ys;
  const auto take = [&](double x, double y) {
    if (!std::isfinite(x) || !std::isfinite(y) || (scatter.log_x && x <= 0) || (scatter.log_y && y <= 0)) {
      throw std::invalid_argument(fmt::format("expected a point that can be drawn, found ({}, {})", x, y));
    }
    xs.push_back(x);
    ys.push_back(y);
  };
  for (const ScatterPoint& point : scatter.points) {
    take(point.x, point.y);
    if (point.y_interval) {
      take(point.x, point.y_interval->first);
      take(point.x, point.y_interval->second);
    }
  }
  for (const ScatterLine& line : scatter.lines) {
    for (const auto& [x, y] : line.points) {
      take(x, y);
    }
  }
  Plane plane{axis_over(xs, scatter.log_x, true), axis_over(ys, scatter.log_y, scatter.y_from_zero)};
  plane.x.from = kLeft;
  plane.x.to = kRight;
  plane.y.from = kBottom;
  plane.y.to = kTop;
  return plane;
}

std::string grid(const Plane& plane, const Scatter& scatter) {
  std::string marks;
  for (const double tick : round_ticks(plane.x)) {
    const double x = plane.x.at(tick);
    marks += fmt::format(R"(<path class="grid" d="M{:.1f} {:.0f}V{:.0f}"/>)", x, kTop, kBottom) +
             svg_text(x, kBottom + 17, tick_text(tick), "tick");
  }
  for (const double tick : round_ticks(plane.y)) {
    const double y = plane.y.at(tick);
    marks += fmt::format(R"(<path class="grid" d="M{:.0f} {:.1f}H{:.0f}"/>)", kLeft, y, kRight) +
             svg_text(kLeft - 8, y + 4, tick_text(tick), "tick end");
  }
  return marks + svg_text((kLeft + kRight) / 2, kBottom + 40, scatter.x_title, "tick") +
         fmt::format(R"svg(<text class="tick" transform="translate(16 {:.0f}) rotate(-90)">{}</text>)svg",
                     (kTop + kBottom) / 2, escape_html(scatter.y_title));
}

std::string mark(const ScatterPoint& point, const Plane& plane) {
  const double x = plane.x.at(point.x), y = plane.y.at(point.y);
  std::string shape;
  if (point.y_interval) {
    shape = fmt::format(R"(<path class="interval" d="M{:.1f} {:.1f}V{:.1f}"/>)", x,
                        plane.y.at(point.y_interval->first), plane.y.at(point.y_interval->second));
  }
  switch (point.role) {
    case Role::kCandidate:
      shape += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="5"/>)", x, y);
      break;
    case Role::kPeer:
      shape += fmt::format(R"(<path class="solid" d="M{:.1f} {:.1f}l6 6l-6 6l-6 -6z"/>)", x, y - 6);
      break;
    default:
      shape += fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="9" height="9"/>)", x - 4.5, y - 4.5);
  }
  return fmt::format(R"(<g class="{}"><title>{}</title>{}</g>)", role_class(point.role),
                     escape_html(point.about), shape);
}

/// The first letters, cut before a byte that starts none (UTF-8).
std::string shortened(const std::string& label) {
  if (label.size() <= kLabelLetters) {
    return label;
  }
  std::size_t end = kLabelLetters - 1;
  while (end > 0 && (static_cast<unsigned char>(label[end]) & 0xC0U) == 0x80U) {
    --end;
  }
  return label.substr(0, end) + "…";
}

/// What stands right of the plane: where it is joined to, and in which colour.
struct Label {
  double x, y;
  std::string text;
  std::string_view classes;
};

std::vector<Label> labels_of(const Scatter& scatter, const Plane& plane) {
  std::vector<Label> labels;
  for (const ScatterPoint& point : scatter.points) {
    if (!point.label.empty()) {
      labels.push_back(
          {plane.x.at(point.x) + 7, plane.y.at(point.y), shortened(point.label), role_class(point.role)});
    }
  }
  for (const ScatterLine& line : scatter.lines) {
    if (line.is_limit && !line.label.empty()) {
      const auto& [x, y] = line.points.back();
      labels.push_back({plane.x.at(x) + 2, plane.y.at(y), shortened(line.label), "quiet"});
    }
  }
  return labels;
}

/// In one column right of the plane, each joined to its mark.
std::string label_marks(const std::vector<Label>& labels) {
  std::vector<double> wanted;
  for (const Label& label : labels) {
    wanted.push_back(label.y);
  }
  const std::vector<double> places = spread(wanted, kLabelRow, kTop);
  std::string marks;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    marks += fmt::format(R"(<path class="leader" d="M{:.1f} {:.1f}L{:.0f} {:.1f}"/>)", labels[i].x,
                         labels[i].y, kRight + 8, places[i]) +
             svg_text(kRight + 13, places[i] + 4, labels[i].text, labels[i].classes);
  }
  return marks;
}

/// A limit is named in the column, any other line at its end.
std::string line_marks(const ScatterLine& line, const Plane& plane) {
  std::string path;
  for (const auto& [x, y] : line.points) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", plane.x.at(x), plane.y.at(y));
  }
  const std::string drawn =
      fmt::format(R"(<path class="{}" d="{}"/>)", line.is_limit ? "limit" : "one", path);
  const auto& [x, y] = line.points.back();
  return line.is_limit || line.label.empty()
             ? drawn
             : drawn + svg_text(plane.x.at(x) - 6, plane.y.at(y) - 7, line.label, "tick end");
}

}  // namespace

std::vector<double> spread(std::vector<double> wanted, double apart, double least) {
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  // A run of crowded places is centred where its members wanted to stand on average.
  struct Run {
    double sum = 0;
    std::size_t first = 0, count = 0;
  };
  std::vector<Run> runs;
  const auto top = [&](const Run& run) {
    const auto count = static_cast<double>(run.count);
    return std::max(least, run.sum / count - apart * (count - 1) / 2);
  };
  for (std::size_t i = 0; i < order.size(); ++i) {
    runs.push_back({wanted[order[i]], i, 1});
    while (runs.size() > 1) {
      const Run last = runs.back();
      Run& before = runs[runs.size() - 2];
      if (top(before) + apart * static_cast<double>(before.count) <= top(last)) {
        break;
      }
      before = {before.sum + last.sum, before.first, before.count + last.count};
      runs.pop_back();
    }
  }
  for (const Run& run : runs) {
    for (std::size_t i = 0; i < run.count; ++i) {
      wanted[order[run.first + i]] = top(run) + apart * static_cast<double>(i);
    }
  }
  return wanted;
}

std::string scatter_chart(const Scatter& scatter) {
  if (scatter.points.empty()) {
    return "";
  }
  const Plane plane = plane_of(scatter);
  std::string lines, marks;
  for (const ScatterLine& line : scatter.lines) {
    lines += line_marks(line, plane);
  }
  for (const ScatterPoint& point : scatter.points) {
    marks += mark(point, plane);
  }
  return fmt::format(
      R"(<svg class="chart plane" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}{}{}{}</svg>)",
      kWidth, kHeight, escape_html(scatter.name), grid(plane, scatter), lines,
      label_marks(labels_of(scatter, plane)), marks);
}

}  // namespace assay::harness::report
