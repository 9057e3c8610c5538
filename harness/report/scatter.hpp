// SPDX-License-Identifier: Apache-2.0
// Points and lines in a plane, as SVG: what rooflines and suites' own pictures are drawn with.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::harness::report {

struct ScatterPoint {
  double x = 0, y = 0;
  std::string label = {};  ///< beside the mark; none where empty
  std::string about = {};  ///< shown on hovering, read aloud
  Role role = Role::kCandidate;
  std::optional<std::pair<double, double>> y_interval = {};
};

struct ScatterLine {
  std::vector<std::pair<double, double>> points = {};
  std::string label = {};  ///< at its last point
  bool is_limit = true;    ///< dashed where it is not
};

struct Scatter {
  std::string name = {};  ///< what the picture shows, read aloud
  std::string x_title = {}, y_title = {};
  bool log_x = false, log_y = false;
  bool y_from_zero = true;  ///< of a linear axis
  std::vector<ScatterPoint> points = {};
  std::vector<ScatterLine> lines = {};
};

/// Axes hold every point and the lines' ends. Circles are candidates, diamonds peers, squares baselines and
/// others. Empty without points; values are finite (above 0 where logarithmic), else std::invalid_argument.
std::string scatter_chart(const Scatter& scatter);

/// Places as near to `wanted` as leaves `apart` between any two and none below `least`; order is kept.
std::vector<double> spread(std::vector<double> wanted, double apart, double least);

}  // namespace assay::harness::report
