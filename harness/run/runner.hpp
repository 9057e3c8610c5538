// SPDX-License-Identifier: Apache-2.0
// The main job: verify, measure memory, measure time, verify what was timed, hand out records as they are
// finished.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/measure/measure.hpp"
#include "harness/record/record.hpp"

namespace assay::harness {

struct RunOptions {
  /// Over challenge/case/implementation; empty: everything not `on_request`. Checks of a suite come with its
  /// cases, or, once a filter names challenge/checks/NAME, only those that are named.
  std::vector<std::string> filters;
  std::vector<DeviceKind> devices;
  bool measure = true;  ///< false: parity and safety only
  bool quick = false;   ///< only cases marked quick
  MeasureOptions graph{}, cold{}, wall{};
  int noise_trials = 12;
  std::string command;  ///< as typed, for the record
  RunOptions();
};

/// What a run tells while it goes; every member may be empty.
struct RunEvents {
  std::function<void(const Record&)> record;
  std::function<void(const Check&)> check;
  std::function<void(const std::string& what, int done, int total)> progress;
};

struct RunSummary {
  int passed = 0, not_passed = 0, skipped = 0;  ///< rows; a check that fails counts as not passed
  int checks_passed = 0;
  bool all_passed() const { return not_passed == 0 && passed + checks_passed > 0; }
};

/// Throws UsageError when the filters select nothing, Interrupted on Ctrl-C (what was finished has been
/// handed out).
RunSummary run(const std::vector<Challenge>& challenges, const RunOptions& options, const RunEvents& events);

/// True where `filters` (none: everything) select the row. A case `on_request` needs a filter that names more
/// than its challenge.
bool selected(const RunOptions& options, const Challenge& challenge, const Case& which,
              const Implementation& implementation);

}  // namespace assay::harness
