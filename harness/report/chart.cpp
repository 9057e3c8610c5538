// SPDX-License-Identifier: Apache-2.0
// Dot-and-interval plots and bars.
#include "harness/report/chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

// Columns of a case's chart, in user units (the SVG scales to the page).
constexpr double kWidth = 1000, kRow = 26, kAxis = 22;
constexpr double kRatioLeft = 235, kRatioRight = 530, kRatioText = 544;
constexpr double kBarLeft = 822, kBarRight = 947, kBarText = 954;

double x_of(double ratio, const RatioScale& scale) {
  return kRatioLeft + (kRatioRight - kRatioLeft) * scale.position(ratio);
}

std::string verdict_class(Verdict verdict) {
  return verdict == Verdict::kNotResolved ? "unresolved" : std::string(verdict_name(verdict));
}

std::string text_at(double x, double y, const std::string& text, const char* classes = "") {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>)", x, y, classes, escape_html(text));
}

/// Every pair's own ratio as a short tick; pairs outside the axis are left out.
std::string pair_ticks(const Timing& timing, const RatioScale& scale, double y) {
  std::string path;
  const std::size_t pairs = std::min(timing.candidate_samples_ns.size(), timing.baseline_samples_ns.size());
  for (std::size_t i = 0; i < pairs; ++i) {
    const double ratio = timing.baseline_samples_ns[i] / timing.candidate_samples_ns[i];
    if (ratio > scale.low && ratio < scale.high) {
      path += fmt::format("M{:.1f} {:.1f}v10", x_of(ratio, scale), y - 5);
    }
  }
  return path.empty() ? "" : fmt::format(R"(<path class="pairs" d="{}"/>)", path);
}

std::string ratio_marks(const Timing& timing, const RatioScale& scale, double y) {
  const Interval& speedup = *timing.speedup;
  const double low = x_of(speedup.ci_low, scale), high = x_of(speedup.ci_high, scale);
  return pair_ticks(timing, scale, y) +
         fmt::format(R"(<g class="{}"><title>{} over {}, {} pairs, {}</title>)"
                     R"(<path class="interval" d="M{:.1f} {:.1f}H{:.1f}M{:.1f} {:.1f}v8M{:.1f} {:.1f}v8"/>)"
                     R"(<circle cx="{:.1f}" cy="{:.1f}" r="3.5"/></g>)",
                     verdict_class(timing.verdict), interval_text(speedup), escape_html(timing.baseline),
                     speedup.pairs, mode_name(timing.mode), low, y, high, low, y - 4, high, y - 4,
                     x_of(speedup.median, scale), y);
}

std::string ceiling_bar(const WorkDone& work, double y) {
  const double filled = (kBarRight - kBarLeft) * std::clamp(work.fraction, 0.0, 1.0);
  return fmt::format(R"(<rect class="track" x="{0:.1f}" y="{1:.1f}" width="{2:.1f}" height="10" rx="2"/>)"
                     R"(<rect class="fill" x="{0:.1f}" y="{1:.1f}" width="{3:.1f}" height="10" rx="2">)"
                     R"(<title>{4} of {5}, measured {6}</title></rect>)",
                     kBarLeft, y - 5, kBarRight - kBarLeft, filled, significant(work.achieved),
                     escape_html(work.ceiling), significant(work.ceiling_value)) +
         text_at(kBarText, y + 4, percent_text(work.fraction));
}

std::string row_marks(const Row& row, const RatioScale& scale, double y) {
  const Timing& headline = *row.headline();
  std::string marks = text_at(kRatioLeft - 14, y + 4, row.label(), "name");
  if (headline.speedup) {
    marks += ratio_marks(headline, scale, y);
    marks += text_at(kRatioText, y + 4, interval_text(*headline.speedup) + "  " + cells_of(row).verdict,
                     verdict_class(headline.verdict).c_str());
  } else {
    marks +=
        text_at(kRatioText, y + 4, cells_of(row).verdict + ", " + time_text(headline.candidate_ns), "quiet");
  }
  return marks + (row.passed()->work ? ceiling_bar(*row.passed()->work, y) : "");
}

std::string axis(const RatioScale& scale, double bottom) {
  std::string marks;
  for (const double tick : ratio_ticks(scale)) {
    const double x = x_of(tick, scale);
    marks += fmt::format(R"(<path class="{}" d="M{:.1f} 4V{:.1f}"/>)", tick == 1 ? "one" : "grid", x, bottom);
    marks += text_at(x, bottom + 15, fmt::format("{:g}x", tick), "tick");
  }
  return marks;
}

/// Round values a factor or a step apart, those inside the scale.
std::vector<double> inside(const RatioScale& scale, std::vector<double> values) {
  std::erase_if(values, [&](double value) { return value < scale.low || value > scale.high; });
  return values;
}

std::vector<double> powers(std::initializer_list<double> digits) {
  std::vector<double> values;
  for (const double power : {0.01, 0.1, 1.0, 10.0, 100.0, 1000.0}) {
    for (const double digit : digits) {
      values.push_back(digit * power);
    }
  }
  return values;
}

std::vector<double> steps_around_one(const RatioScale& scale, double step) {
  std::vector<double> values;
  for (double k = std::ceil((scale.low - 1) / step); 1 + k * step <= scale.high; ++k) {
    values.push_back(k == 0 ? 1.0 : std::round((1 + k * step) * 1e6) / 1e6);
  }
  return values;
}

}  // namespace

double RatioScale::position(double ratio) const {
  return std::log(ratio / low) / std::log(high / low);
}

RatioScale ratio_scale(const ChallengeBoard& challenge, const std::string& case_name) {
  RatioScale scale{.low = 0.95, .high = 1.05};
  for (const Row& row : challenge.rows) {
    if (row.record.case_name == case_name && row.headline() != nullptr && row.headline()->speedup) {
      scale.low = std::min(scale.low, row.headline()->speedup->ci_low * 0.96);
      scale.high = std::max(scale.high, row.headline()->speedup->ci_high * 1.04);
    }
  }
  return scale;
}

std::vector<double> ratio_ticks(const RatioScale& scale) {
  for (const auto& values : {powers({1}), powers({1, 2, 5}), powers({1, 1.5, 2, 3, 5, 7})}) {
    const auto ticks = inside(scale, values);
    if (ticks.size() >= 4 && ticks.size() <= 8) {
      return ticks;
    }
  }
  for (const double step : {1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01}) {
    const auto ticks = steps_around_one(scale, step);
    if (ticks.size() >= 4 && ticks.size() <= 8) {
      return ticks;
    }
  }
  return inside(scale, powers({1}));
}

std::string case_chart(const ChallengeBoard& challenge, const std::string& case_name) {
  const RatioScale scale = ratio_scale(challenge, case_name);
  std::string rows;
  std::size_t count = 0;
  for (const Row& row : challenge.rows) {
    if (row.record.case_name == case_name && row.headline() != nullptr) {
      rows += row_marks(row, scale, kRow * (static_cast<double>(count) + 0.5) + 6);
      ++count;
    }
  }
  if (count == 0) {
    return "";
  }
  const double bottom = kRow * static_cast<double>(count) + 8;
  return fmt::format(
      R"(<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="Speedup and share of the )"
      R"(ceiling, {}">{}{}</svg>)",
      kWidth, bottom + kAxis, escape_html(case_name), axis(scale, bottom), rows);
}

std::string points_bar(const RubricBoard& rubric) {
  std::string segments;
  double x = 0;
  for (const auto& [line, decision] : rubric.lines) {
    if (line->points <= 0) {
      continue;
    }
    segments += fmt::format(
        R"(<rect class="{}" x="{:.0f}" y="0" width="{:.0f}" height="12" rx="2"><title>{}: {}</title></rect>)",
        status_word(*line, decision), x + 1, 20.0 * line->points - 2, escape_html(line->text),
        status_word(*line, decision));
    x += 20.0 * line->points;
  }
  return fmt::format(R"(<svg class="points" viewBox="0 0 {:.0f} 12" preserveAspectRatio="none" role="img" )"
                     R"(aria-label="{} of {} points">{}</svg>)",
                     std::max(x, 1.0), rubric.total, rubric.possible, segments);
}

}  // namespace assay::harness::report
