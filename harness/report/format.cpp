// SPDX-License-Identifier: Apache-2.0
// Numbers, units and escaping.
#include "harness/report/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace assay::harness::report {
namespace {

/// `value` scaled by `step` until it is below it, with the unit reached.
template <std::size_t N>
std::string scaled(double value, double step, const std::string_view (&units)[N]) {
  std::size_t unit = 0;
  while (unit + 1 < N && std::round(std::fabs(value)) >= step) {
    value /= step;
    ++unit;
  }
  return unit == 0 && value == std::floor(value) ? fmt::format("{:.0f} {}", value, units[0])
                                                 : fmt::format("{} {}", significant(value), units[unit]);
}

/// Decimals that a ratio is worth: a per mille near 1, where single per cents are told apart; else three
/// digits.
int ratio_decimals(double low, double high) {
  if (low > 0.9 && high < 1.1) {
    return 3;
  }
  return high < 9.995 ? 2 : high < 99.95 ? 1 : 0;
}

/// `direction` -1 rounds down, +1 up, 0 to nearest.
std::string rounded(double value, int decimals, int direction) {
  const double unit = std::pow(10.0, decimals);
  // 1e-9: a bound stored as 1.43 is 1.42999… in binary and must still print as 1.43.
  const double whole = direction < 0   ? std::floor(value * unit + 1e-9)
                       : direction > 0 ? std::ceil(value * unit - 1e-9)
                                       : std::round(value * unit);
  return fmt::format("{:.{}f}", whole / unit, decimals);
}

}  // namespace

std::string significant(double value) {
  const double size = std::fabs(value);
  const int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string time_text(double nanoseconds) {
  constexpr std::string_view kUnits[] = {"ns", "µs", "ms", "s"};
  return scaled(nanoseconds, 1000.0, kUnits);
}

std::string bytes_text(std::int64_t bytes) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  return scaled(static_cast<double>(bytes), 1024.0, kUnits);
}

std::string ratio_text(double ratio) {
  return rounded(ratio, ratio_decimals(ratio, ratio), 0) + "x";
}

std::string interval_text(const Interval& interval) {
  const int decimals = ratio_decimals(interval.ci_low, interval.ci_high);
  return fmt::format("{}x [{}, {}]", rounded(interval.median, decimals, 0),
                     rounded(interval.ci_low, decimals, -1), rounded(interval.ci_high, decimals, +1));
}

std::string percent_text(double fraction) {
  return fmt::format("{:.1f} %", 100.0 * fraction);
}

std::string count_text(std::int64_t count) {
  constexpr std::string_view kNarrowSpace = "\u202f";  // keeps the figure in one line
  const std::string digits = std::to_string(count);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const std::size_t left = digits.size() - i;
    if (left % 3 == 0 && i > 0 && digits[i - 1] != '-') {
      grouped += kNarrowSpace;
    }
    grouped += digits[i];
  }
  return grouped;
}

std::string plural(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string short_commit(const std::string& commit) {
  constexpr std::size_t kDigits = 9;
  const std::size_t dash = commit.find('-');
  return commit.substr(0, std::min(dash, kDigits)) + (dash == std::string::npos ? "" : commit.substr(dash));
}

std::string escape_html(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string escape_markdown(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      result += ' ';
    } else if (c == '<') {
      result += "&lt;";
    } else {
      if (c == '|' || c == '\\' || c == '*' || c == '`' || c == '[') {
        result += '\\';
      }
      result += c;
    }
  }
  return result;
}

}  // namespace assay::harness::report
