// SPDX-License-Identifier: Apache-2.0
// When everything of a schedule happens, given what its parts cost: the bubble before there is a device, and
// the prediction that a measured step is held against.
#pragma once

#include "kernels/fsdp/schedule/walk.hpp"

namespace assay::kernels::fsdp {

/// In any one unit of time, for one microbatch of one stage.
struct StageCosts {
  double forward = 1, input = 1, weight = 1;  ///< F, I, W; B is I and W
  double recompute =
      0;  ///< R; where the schedule has no R of a microbatch, its B or I takes this much longer
  double transfer = 0;
  std::vector<double> scale = {};  ///< of each stage's compute, for stages of unequal size; empty: 1
};

struct Timeline {
  std::vector<Timed> events;  ///< by rank, each in its order
  double makespan = 0;
  std::vector<double> busy;  ///< compute time of each rank
  /// Share of all ranks' time that is idle: (p - 1) / (m + p - 1) of GPipe and 1F1B without transfer time.
  double idle_fraction() const;
  /// What the step takes beyond the mean rank's compute, relative to it: (p - 1) / m of those.
  double bubble_over_ideal() const;
};

/// Throws std::invalid_argument for costs that are negative or not finite, scales of another number than
/// stages, and a schedule that does not end.
Timeline simulate(const Schedule& schedule, const StageCosts& costs, int channel_capacity = 1);

}  // namespace assay::kernels::fsdp
