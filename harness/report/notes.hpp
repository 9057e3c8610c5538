// SPDX-License-Identifier: Apache-2.0
// Many notes as few lines: notes that differ in nothing but figures are one kind.
#pragma once

#include <string>
#include <vector>

namespace assay::harness::report {

/// Notes of one kind, over all timings that have one.
struct NoteKind {
  std::string text;         ///< figures as ranges: "SM clock moved between 1290–1905 and 1545–1980 MHz"
  std::size_t timings = 0;  ///< that carry a note of this kind
};

/// `notes`: those of each timing. The kind with most timings first; of equals the one that came first.
std::vector<NoteKind> kinds_of_notes(const std::vector<std::vector<std::string>>& notes);

}  // namespace assay::harness::report
