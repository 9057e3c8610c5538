// SPDX-License-Identifier: Apache-2.0
// Which line of an old file a line of a new file is compared with.
#pragma once

#include <vector>

#include "harness/record/record.hpp"

namespace assay::harness::report {

/// One side is null where only the other file has the subject.
template <class Line>
struct Pair {
  const Line* before = nullptr;
  const Line* after = nullptr;
};

/// Subjects in order of first appearance, old file first. A device is part of the subject only where one of
/// the files holds several of its kind: results of an H100 and of an A100 can be compared, and so can two
/// runs on two machines.
std::vector<Pair<Record>> pair_records(const RecordFile& before, const RecordFile& after);
std::vector<Pair<Check>> pair_checks(const RecordFile& before, const RecordFile& after);

/// Interval of new speedup / old speedup, from the outer bounds of both; covers at least as surely as the two
/// do.
struct Change {
  double low = 1, high = 1, middle = 1;
};
Change change_of(const Interval& before, const Interval& after);

/// The timing of `mode`, nullptr where there is none with a speedup.
const Timing* timing_of(const Record& record, TimeMode mode);

}  // namespace assay::harness::report
