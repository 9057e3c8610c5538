// SPDX-License-Identifier: Apache-2.0
// One axis of a drawing, in values and in the drawing's own units.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace assay::harness::report {

struct Axis {
  double low = 0, high = 1;  ///< values at the ends; low < high, both above 0 where logarithmic
  bool logarithmic = false;
  double from = 0, to = 1;  ///< where the ends are drawn; from > to runs upwards

  /// Where `value` is drawn; outside the ends where it is outside.
  double at(double value) const;
};

/// Two to nine round values inside the axis, ascending: multiples of 1, 2 or 5 times a power of ten; powers
/// of ten alone where they are enough.
std::vector<double> round_ticks(const Axis& axis);
/// Ends that hold `values` with a margin; 0 is the low end of a linear axis where `from_zero`. Values are
/// finite, and above 0 where logarithmic; none give the axis 1 to 10.
Axis axis_over(const std::vector<double>& values, bool logarithmic, bool from_zero = false);

/// "12 k", "3.5 M" where long, else the figure.
std::string tick_text(double value);
std::string svg_text(double x, double y, std::string_view text, std::string_view classes = "");

}  // namespace assay::harness::report
