// SPDX-License-Identifier: Apache-2.0
// SM targets: where code ran, how, and what was read from the built binaries.
#pragma once

#include <string>
#include <vector>

#include "harness/report/board.hpp"

namespace assay::harness::report {

/// Candidates that ran on one target.
struct TargetRun {
  std::string challenge, arch, mode;  ///< "sm_75", "ptx_jit"
  std::size_t passed = 0, not_passed = 0, timed = 0;
  std::vector<std::string> implementations;  ///< sorted
};
/// By challenge as on the board, then by target; skipped rows ran nowhere.
std::vector<TargetRun> target_runs(const DeviceBoard& device);

/// What a check says of code for one target: its evidence has a member a target, "sm_90a": {"registers": 32,
/// …}.
struct TargetCode {
  std::string challenge, check, arch;
  /// "-" where the evidence says nothing.
  std::string kernels, registers, spills, load, store, matrix, hints;
};
std::vector<TargetCode> target_code(const DeviceBoard& device);

}  // namespace assay::harness::report
