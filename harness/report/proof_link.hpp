// SPDX-License-Identifier: Apache-2.0
// From a decided line to the record that proves it.
#pragma once

#include <string>

#include "harness/report/board.hpp"

namespace assay::harness::report {

/// The anchor of what decided the line: what the line says its evidence is, else the check or the case that
/// the proof names as a word of its own. On the rubric's device where it is there, else on any. Empty where
/// the page shows neither.
std::string proof_anchor(const Board& board, const RubricBoard& rubric, const RubricLine& line,
                         const RubricLine::Decision& decision);

}  // namespace assay::harness::report
