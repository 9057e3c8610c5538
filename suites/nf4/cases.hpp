// SPDX-License-Identifier: Apache-2.0
// The one table of cases that verification and timing both read.
#pragma once

#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::nf4 {

/// The puzzle's three options, the shapes of docs/anchors, edges (tails, block sizes, FP4, single level,
/// f32), and the matrices of a checkpoint: the one given as option "weights", else the small model found on
/// this machine, if any.
std::vector<harness::Case> dequantize_cases();

}  // namespace assay::suites::nf4
