// SPDX-License-Identifier: Apache-2.0
// How far each timed row is from what the device was measured to do.
#pragma once

#include <map>
#include <string>

#include "harness/report/board.hpp"
#include "harness/report/scatter.hpp"

namespace assay::harness::report {

/// Rows that compute: TFLOP/s against flops a byte, under the copy rate's slope and the matmul rates' flat
/// roofs. No points where no row computes.
Scatter roofline(const ChallengeBoard& challenge, const std::map<std::string, double>& ceilings);

/// Rows that only move bytes: GB/s against bytes moved, under the copy rate.
Scatter copy_line(const ChallengeBoard& challenge, const std::map<std::string, double>& ceilings);

}  // namespace assay::harness::report
