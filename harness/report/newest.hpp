// SPDX-License-Identifier: Apache-2.0
// What remains of several record files: for each subject the newest evidence.
#pragma once

#include <string>
#include <utility>

#include "harness/record/record.hpp"
#include "harness/report/report.hpp"

namespace assay::harness::report {

/// One record a (device, challenge, case, implementation, target), one check a (device, challenge, name), in
/// order of first appearance. The newest decides the outcome. Time modes, memory and work that a newer pass
/// did not measure are taken from older passes of the same sources, so `assay verify` does not erase
/// yesterday's times.
RecordFile newest(const RecordFile& file);

/// A record whose sources are known to have changed since it was measured.
bool is_stale(const Record& record, const CurrentSources& current);

/// The key under which devices are told apart: name and architecture.
std::pair<std::string, std::string> device_key(const DeviceInfo& device);

}  // namespace assay::harness::report
