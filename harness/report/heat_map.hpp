// SPDX-License-Identifier: Apache-2.0
// A sweep as a map: a case's name is its axes joined by '/', and two of them span the plane.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/report/board.hpp"

namespace assay::harness::report {

struct HeatMap {
  std::string implementation;
  std::string fixed;  ///< values of the other axes, "bf16/fwd"; empty where there are none
  std::vector<std::string> rows, columns;  ///< figures inside ascend as figures
  /// The headline timing at each place; of several inputs the one with the lowest lower bound. nullptr where
  /// none was timed. Points into the challenge.
  std::vector<std::vector<const Timing*>> cells;
};

/// A map a candidate and value of the remaining axes: the two axes with most values span it, the longer one
/// downwards. An axis that holds seeds or names of tensors does not count. Only maps of at least four timed
/// places, over cases of the number of axes that most cases have.
std::vector<HeatMap> heat_maps(const ChallengeBoard& challenge);

/// -3 (half as fast and slower) … 0 (not resolved) … 3 (twice as fast and faster).
int heat_of(const Timing& timing);

}  // namespace assay::harness::report
