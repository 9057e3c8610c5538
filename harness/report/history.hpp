// SPDX-License-Identifier: Apache-2.0
// What records of one row say over time, and where it changed.
#pragma once

#include <string>
#include <vector>

#include "harness/record/record.hpp"

namespace assay::harness::report {

struct Measured {
  std::string utc, commit;
  Interval speedup;
};

/// Speedups of one row in one mode over one baseline, oldest first.
struct History {
  DeviceInfo device;
  std::string challenge, case_name, implementation, baseline;
  TimeMode mode = TimeMode::kGraph;
  std::vector<Measured> points;
  std::vector<std::size_t> changes;  ///< points that start a level of their own
};

/// Indices where a new level starts. A level is the mean of its intervals' ends (of their logarithms); the
/// next interval starts another where it lies wholly outside and both middles are at least kVerdictMargin
/// apart. Changes that are no larger than what two runs of one program differ by are not told from noise.
std::vector<std::size_t> change_points(const std::vector<Interval>& oldest_first);

/// Rows with a headline speedup at two times or more: those that changed first, else in order of first
/// appearance. A target that ran by just-in-time compilation is another row.
std::vector<History> histories(const RecordFile& file);

}  // namespace assay::harness::report
