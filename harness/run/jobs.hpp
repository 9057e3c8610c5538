// SPDX-License-Identifier: Apache-2.0
// What a run has to do: the rows that filters select, case by case.
#pragma once

#include <string>
#include <vector>

#include "harness/run/runner.hpp"

namespace assay::harness {

/// One case with what is judged on it; points into the registry.
struct Job {
  const Challenge* challenge;
  const Case* which;
  std::vector<const Implementation*> implementations;
};

/// In the registry's order, cases without a selected implementation left out.
std::vector<Job> jobs_on(DeviceKind device, const std::vector<Challenge>& challenges,
                         const RunOptions& options);

/// What to tell when there are none: which rows, or checks, of the chosen devices the first filter comes
/// nearest to.
std::string nothing_selected(const std::vector<Challenge>& challenges, const RunOptions& options);

}  // namespace assay::harness
