// SPDX-License-Identifier: Apache-2.0
// How a line of part E reads checks and records.
#pragma once

#include <string>
#include <vector>

#include "harness/report/report.hpp"

namespace assay::suites::backprop {

using Decision = harness::RubricLine::Decision;
using Status = harness::RubricLine::Status;

Decision open(std::string why);
Decision stale(const std::string& what);

/// A check of cross_entropy whose evidence says `field`: true. Open where it is missing, was skipped, or ran
/// on a CPU alone; lost where it failed.
Decision by_check(const harness::RecordFile& file, const harness::CurrentSources& current,
                  const std::string& check, const std::vector<std::string>& fields, int points,
                  int lost_points);

/// The general path's GPU records of one challenge.
struct Tally {
  std::size_t passed = 0, of_f16 = 0, of_bf16 = 0;
  const harness::Record* bad = nullptr;    ///< one that is neither passed nor skipped
  const harness::Record* old = nullptr;    ///< one of older sources
  const harness::Record* named = nullptr;  ///< of the case asked for, passed and current
};
Tally tally_of(const harness::RecordFile& file, const harness::CurrentSources& current,
               const std::string& challenge, const std::string& named_case = {});
/// What keeps a tally from being evidence; nullopt when every record passed and both 16-bit types are among
/// them.
std::optional<Decision> unusable(const Tally& tally, const std::string& challenge, int lost_points);

}  // namespace assay::suites::backprop
