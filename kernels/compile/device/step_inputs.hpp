// SPDX-License-Identifier: Apache-2.0
// What changes from step to step: checked on the host, padded to the step's capacity, packed into the bytes
// that one copy sends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/compile/device/step_plan.hpp"

namespace assay::kernels::compile {

/// AdamW's, as program.hpp has them.
struct StepSettings {
  float learning_rate = 0.0f;
  float step = 1.0f;  ///< number of the step, from 1 on
  float weight_decay = 0.0f;
  float largest_norm = 0.0f;  ///< of all gradients together; 0: any
};

/// Packed sequences of n tokens together, n up to the step's capacity.
struct StepInputs {
  std::span<const std::int64_t> tokens;          ///< [n], each in [0, vocabulary)
  std::span<const std::int64_t> labels;          ///< [n], each in [0, vocabulary) or −100: does not count
  std::span<const std::int32_t> boundaries;      ///< [sequences + 1] from 0 to n, not falling
  std::span<const std::int32_t> positions = {};  ///< [n], 0 or above; empty: from 0 in each sequence
  StepSettings settings;
};

struct StepCapacity {
  std::int64_t tokens = 0, sequences = 0, longest_sequence = 0, vocab = 0;
};
StepCapacity capacity_of(const StepPlan& plan);

/// Throws std::invalid_argument saying what was expected and found; for more tokens, more sequences or a
/// longer one than the capacity, that the step was captured for less.
void check(const StepInputs& inputs, const StepCapacity& capacity);

/// Writes layout().input_bytes at `to`, every input at its place: tokens behind the n are 0 and do not count,
/// sequences behind the given ones are empty. Inputs must have been checked.
void pack(const StepInputs& inputs, const StepPlan& plan, std::byte* to);

}  // namespace assay::kernels::compile
