// SPDX-License-Identifier: Apache-2.0
// Scoreboard files from records and what is built in: rubrics of the suites, digests of today's sources.
#pragma once

#include <string>

#include "harness/report/report.hpp"

namespace assay::harness::cli {

/// Digest of each registered implementation's sources as built.
CurrentSources current_sources();

/// Writes FOLDER/scoreboard.md and FOLDER/scoreboard.html, both or (on an error) neither.
void write_board(const RecordFile& records, const std::string& folder);

}  // namespace assay::harness::cli
