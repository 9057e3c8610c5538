// SPDX-License-Identifier: Apache-2.0
// How a line of part C reads the check and the records of attention.
#pragma once

#include "harness/report/report.hpp"

namespace assay::suites::compile {

using Decision = harness::RubricLine::Decision;
using Status = harness::RubricLine::Status;

inline constexpr const char* kAttentionKernels = "kernels";

Decision open(std::string why);

/// "Flex attention works with dynamic sequence lengths (+1 with fixed ones)": `points` where the kernels'
/// records of compile/flex_attention all passed on a GPU in f16 and bf16, forward and backward, and the check
/// attention_lengths passed on a GPU with dynamic_lengths true; 1 where only the records did. Lost where one
/// of the records or the check is wrong, stale where sources are older than those at hand.
Decision flex_attention_works(const harness::RecordFile& file, const harness::CurrentSources& current,
                              int points);

}  // namespace assay::suites::compile
