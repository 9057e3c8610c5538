// SPDX-License-Identifier: Apache-2.0
// Where suites put their rubric.
#pragma once

#include <functional>
#include <vector>

#include "harness/report/report.hpp"

namespace assay::harness {

/// `const RegisterRubric kThis([] { return Rubric{…}; });` in a suite, which is an OBJECT library.
struct RegisterRubric {
  explicit RegisterRubric(std::function<Rubric()> make);
};
std::vector<Rubric> rubrics();

}  // namespace assay::harness
