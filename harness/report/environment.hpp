// SPDX-License-Identifier: Apache-2.0
// The strip above a device's tables: what ran, on what, how fast it can be at all, how noisy it was.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/report/board.hpp"

namespace assay::harness::report {

/// From the device's records and its checks `ceilings`, `noise` and `clocks` (docs/records.md names their
/// evidence).
std::vector<Fact> environment_of(const std::vector<Record>& records, const std::vector<Check>& checks);

/// Numbers of the check `ceilings`, by the names that records give them.
std::map<std::string, double> ceilings_of(const std::vector<Check>& checks);

}  // namespace assay::harness::report
