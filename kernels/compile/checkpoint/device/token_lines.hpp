// SPDX-License-Identifier: Apache-2.0
// Text files of token ids, packed into steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "kernels/compile/device/step_inputs.hpp"

namespace assay::kernels::compile::checkpoint {

/// Whole sequences of one step, one behind the other. The label of a token is the next one of its sequence,
/// −100 for the last.
struct PackedBatch {
  std::vector<std::int64_t> tokens, labels;
  std::vector<std::int32_t> boundaries = {0};

  StepInputs inputs(const StepSettings& settings) const;  ///< points into this object
};

/// One sequence a line, its ids separated by spaces; empty lines do not count. Throws std::invalid_argument
/// naming file and line for what is no id in [0, vocab).
std::vector<std::vector<std::int64_t>> read_token_lines(const std::filesystem::path& file,
                                                        std::int64_t vocab);

/// The sequences in their order, each batch filled until the next one does not fit. Throws
/// std::invalid_argument for a sequence longer than `capacity.longest_sequence` or than its tokens, and for
/// none at all.
std::vector<PackedBatch> pack_sequences(const std::vector<std::vector<std::int64_t>>& sequences,
                                        const StepCapacity& capacity);

}  // namespace assay::kernels::compile::checkpoint
