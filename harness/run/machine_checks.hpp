// SPDX-License-Identifier: Apache-2.0
// What a run says about its machine before it says anything about an implementation.
#pragma once

#include <string>

#include "harness/measure/measure.hpp"
#include "harness/record/record.hpp"

namespace assay::harness {

/// Commit as built, time now, the command; no sources and no seed.
Provenance provenance(const std::string& command);

/// check "ceilings": copy, fill, matmul rates, event and launch overhead, clocks now.
Check ceilings_check(const DeviceInfo& device, const Ceilings& ceilings);
/// check "noise": same-against-same trials.
Check noise_check(const DeviceInfo& device, int trials, const MeasureOptions& options);
/// check "timing": of `trials` same-against-same pairs at least 95 % must not be resolved, and 3 % more of the same work
/// must be called worse, every time of four.
Check timing_check(const DeviceInfo& device, int trials);

}  // namespace assay::harness
