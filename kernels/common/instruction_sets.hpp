// SPDX-License-Identifier: Apache-2.0
// Names for Highway's targets, so that a caller can pin one: kernels are compiled for all, and tests run all
// of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assay::kernels {

/// Of the targets in the mask `compiled` (HWY_TARGETS) those this machine runs, best first.
std::vector<std::string> usable_instruction_sets(std::int64_t compiled);

/// The target bit of a name; throws std::invalid_argument naming the usable ones for any other.
std::int64_t instruction_set_from_name(const std::string& name, std::int64_t compiled);

}  // namespace assay::kernels
