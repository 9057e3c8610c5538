// SPDX-License-Identifier: Apache-2.0
// The tiny QLoRA Llama that the checks train, and what it learns from: the same on every call and rank.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/fsdp/engine/sharded_step.hpp"
#include "reference/llama/model.hpp"

namespace assay::suites::fsdp {

/// Groups of 1 024 weights, so that small matrices have several to share out.
inline constexpr kernels::fsdp::PackedFormat kFormat = {.block_size = 64, .nested_block_size = 16};
inline constexpr int kBatches = 6;  ///< different ones, in turn

/// Four layers with a random NF4 base; adapters whose B is not zero.
reference::llama::Llama tiny_model();

/// Packed sequences of unequal length.
struct Batch {
  at::Tensor tokens, labels;  ///< int64 [T]; labels −100 where none counts
};
/// Sequences `which` of global batch `number` (kBatches of them), in this order. Most tokens follow from the
/// one before. Half of the batches have no label in their last sequence, all have few in the second.
Batch batch_of(int number, const std::vector<int>& which);

/// The step's options for one rank's sequences; packed base, f32 adapters of rank 3.
kernels::compile::StepOptions step_options(const reference::llama::Llama& model,
                                           const std::vector<int>& which);

/// Gives the step all that does not change: weights, adapters, positions, boundaries.
void load(kernels::fsdp::ShardedStep& step, reference::llama::Llama& model, const std::vector<int>& which,
          at::Device device);

}  // namespace assay::suites::fsdp
