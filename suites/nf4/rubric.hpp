// SPDX-License-Identifier: Apache-2.0
// Part A of the public challenge as data: what each of its points takes as evidence, and what the puzzle
// itself timed.
#pragma once

#include <optional>
#include <string>

#include "harness/report/report.hpp"

namespace assay::suites::nf4 {

harness::Rubric rubric();

/// The puzzle's own figure: time of its three options, three matrices each, of the unfused sequence over
/// ours.
struct PuzzleTotal {
  std::optional<harness::Interval>
      speedup;  ///< samples i of the options are one pair; unset: `reason` says why
  double candidate_ns = 0, baseline_ns = 0;  ///< sums of the medians
  std::string baselines;                     ///< whose times were summed, by name
  std::string reason;
  bool stale = false;  ///< a record that was used is older than its kernel
};
/// From the newest GPU records of `cuda_fused`. Where an option was timed against several baselines, against
/// the fastest.
PuzzleTotal puzzle_total(const harness::RecordFile& records, harness::TimeMode mode,
                         const harness::CurrentSources& current = {});

}  // namespace assay::suites::nf4
