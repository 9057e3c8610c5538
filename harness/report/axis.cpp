// SPDX-License-Identifier: Apache-2.0
#include "harness/report/axis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/report/format.hpp"

namespace assay::harness::report {
namespace {

constexpr std::size_t kMostTicks = 9;

std::vector<double> multiples(const Axis& axis, double step) {
  std::vector<double> ticks;
  // 1e-9: an end that is a multiple itself stays inside.
  for (double k = std::ceil(axis.low / step - 1e-9); k * step <= axis.high + 1e-9 * step; ++k) {
    ticks.push_back(k == 0 ? 0.0 : k * step);  // never -0
  }
  return ticks;
}

std::vector<double> decades(const Axis& axis, const std::vector<double>& digits) {
  std::vector<double> ticks;
  for (double power = std::floor(std::log10(axis.low)); power <= std::log10(axis.high); ++power) {
    for (const double digit : digits) {
      const double value = digit * std::pow(10.0, power);
      if (value >= axis.low && value <= axis.high) {
        ticks.push_back(value);
      }
    }
  }
  return ticks;
}

std::vector<double> linear_ticks(const Axis& axis) {
  const double power = std::pow(10.0, std::floor(std::log10((axis.high - axis.low) / 5)));
  for (const double digit : {1.0, 2.0, 5.0}) {
    const auto ticks = multiples(axis, digit * power);
    if (ticks.size() <= kMostTicks) {
      return ticks;
    }
  }
  return multiples(axis, 10 * power);
}

}  // namespace

double Axis::at(double value) const {
  const double share =
      logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return from + (to - from) * share;
}

std::vector<double> round_ticks(const Axis& axis) {
  if (!axis.logarithmic) {
    return linear_ticks(axis);
  }
  for (const auto& digits : {std::vector<double>{1}, {1, 3}, {1, 2, 5}}) {
    const auto ticks = decades(axis, digits);
    if (ticks.size() >= 3 && ticks.size() <= kMostTicks) {
      return ticks;
    }
  }
  const auto ticks = decades(axis, {1});
  return ticks.size() >= 2 && ticks.size() <= kMostTicks ? ticks : linear_ticks(axis);
}

Axis axis_over(const std::vector<double>& values, bool logarithmic, bool from_zero) {
  if (values.empty()) {
    return {.low = 1, .high = 10, .logarithmic = logarithmic};
  }
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (logarithmic) {
    return {.low = *least / 1.6, .high = *most * 1.6, .logarithmic = true};
  }
  const double low = from_zero ? std::min(0.0, *least) : *least;
  const double room = *most > low ? 0.08 * (*most - low) : std::max(std::fabs(*most), 1.0) * 0.1;
  return {.low = from_zero ? low : low - room, .high = *most + room};
}

std::string tick_text(double value) {
  for (const auto& [unit, name] : {std::pair{1e9, " G"}, {1e6, " M"}, {1e3, " k"}}) {
    if (std::fabs(value) >= 10 * unit || (unit > 1e3 && std::fabs(value) >= unit)) {
      return fmt::format("{:.4g}{}", value / unit, name);
    }
  }
  return fmt::format("{:.4g}", value);
}

std::string svg_text(double x, double y, std::string_view text, std::string_view classes) {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>)", x, y, classes, escape_html(text));
}

}  // namespace assay::harness::report
