// SPDX-License-Identifier: Apache-2.0
// Whether two training runs are the same but for rounding. How far rounding goes is measured: two naive runs
// that sum in different order. Pure functions of traces.
#pragma once

#include <optional>
#include <string>

#include "suites/backprop/training_run.hpp"

namespace assay::suites::backprop {

/// How far run b is from run a.
struct TrainingDifference {
  double loss = 0.0;            ///< root of the mean over steps of (loss_a − loss_b)²
  double gradient_norm = 0.0;   ///< the same of 1 − norm_b / norm_a
  double first_gradient = 0.0;  ///< |gradient_a − gradient_b| / |gradient_a| of step 1, all tensors together
  double parameters = 0.0;      ///< |end_a − end_b| / |end_a − start|
};
TrainingDifference difference(const TrainingTrace& a, const TrainingTrace& b);

/// RUBRIC part E: within twice the difference of naive runs.
inline constexpr double kTrainingBand = 2.0;

struct TrainingVerdict {
  TrainingDifference naive;      ///< the largest between two of the naive runs, each number for itself
  TrainingDifference candidate;  ///< of the candidate from the first naive run
  double first_loss = 0.0, last_loss = 0.0;  ///< means of the first and last five steps of the candidate
  bool matches = false, fell = false;
  std::string reason;  ///< what is wrong; empty when nothing is
};

/// matches: every difference of the candidate is at most kTrainingBand times that of the naive runs (two at
/// least) plus one unit in the last place of f32, and the band is narrow enough to tell (a tenth of what was
/// learned). fell: the loss fell by a tenth at least and every trained tensor moved.
TrainingVerdict judge(const std::vector<TrainingTrace>& naive, const TrainingTrace& candidate);

}  // namespace assay::suites::backprop
