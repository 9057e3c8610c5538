// SPDX-License-Identifier: Apache-2.0
// Where the peak of memory lies: tensors, graph pools, outside torch.
#pragma once

#include <string>

#include "harness/report/board.hpp"

namespace assay::harness::report {

/// A bar a row with measured memory, its parts stacked, all of a case on one axis from 0. Empty where nothing
/// was measured or nothing of the case takes a byte.
std::string memory_chart(const ChallengeBoard& challenge, const std::string& case_name);

}  // namespace assay::harness::report
