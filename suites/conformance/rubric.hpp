// SPDX-License-Identifier: Apache-2.0
// Part D of the public challenge as data: points for upstream defects that ours does not have and whose
// mutants are rejected.
#pragma once

#include "harness/report/report.hpp"

namespace assay::suites::conformance {

inline constexpr int kDefectsAPoint = 2, kMostPoints = 12;
inline constexpr int kLeastDefects = 20;  ///< fewer are no suite, and earn nothing

harness::Rubric rubric();

}  // namespace assay::suites::conformance
