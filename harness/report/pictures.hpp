// SPDX-License-Identifier: Apache-2.0
// Pictures that only a suite knows how to draw: it hands them to the report as it hands over its rubric.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/record/record.hpp"

namespace assay::harness {

/// What one check's evidence looks like. Pure functions of the check.
struct Picture {
  std::string challenge, check;  ///< of which the evidence is
  std::string title;
  /// Markup from scatter.hpp and the like, text escaped. Empty where the evidence does not hold what is
  /// drawn.
  std::function<std::string(const Check&)> draw;
};

/// `const RegisterPicture kThis([] { return Picture{…}; });` in a suite, which is an OBJECT library.
struct RegisterPicture {
  explicit RegisterPicture(std::function<Picture()> make);
};
std::vector<Picture> pictures();

}  // namespace assay::harness
