// SPDX-License-Identifier: Apache-2.0
// What the evidence of a training step looks like on the scoreboard.
#pragma once

#include <string>

#include "harness/record/record.hpp"

namespace assay::suites::compile {

/// Tokens a second against memory: every policy of ours, the peer at what the pairs say of it, half of its
/// memory marked. Empty where the evidence lacks one of them.
std::string speed_against_memory(const harness::Check& speed);

/// Losses of the captured step and of plain runs, step by step. Empty where the evidence has none.
std::string losses_by_step(const harness::Check& training);

}  // namespace assay::suites::compile
