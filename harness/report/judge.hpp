// SPDX-License-Identifier: Apache-2.0
// A compared row with the sizes of its change, for the gate.
#pragma once

#include <vector>

#include "harness/report/report.hpp"

namespace assay::harness::report {

struct Judged {
  ComparedRow row;
  /// Speed: by how much the new interval lies wholly below the old one; 0 where they overlap.
  double slower_percent = 0;
  /// Memory: growth of the peak; infinite from nothing to something.
  double larger_percent = 0;
};

std::vector<Judged> judge(const RecordFile& old_records, const RecordFile& new_records);

}  // namespace assay::harness::report
