// SPDX-License-Identifier: Apache-2.0
// One small QLoRA training run, three ways: the plain Llama with torch's autograd and AdamW; and the sharded
// step on ranks that share its global batch.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "kernels/fsdp/engine/sharded_step.hpp"
#include "tests/compile/step_problem.hpp"

namespace assay::testing {

inline constexpr int kSteps = 12;
inline constexpr std::int64_t kSequences =
    4;  ///< of the global batch, of unequal length; the last has no label that counts
inline constexpr float kRate = 4e-3f, kDecay = 0.1f, kLargestNorm = 0.5f;
inline constexpr kernels::fsdp::PackedFormat kFormat = {.block_size = 64, .nested_block_size = 16};

/// Four layers, an NF4 base in groups of 1 024 weights (so that small matrices have many), adapters whose B
/// is not zero. The same on every call. `sequences`: which of the global batch, in this order.
Problem training_problem(const std::vector<std::int64_t>& sequences);
std::vector<std::int64_t> sequences_of(int rank, int world);

/// Losses of `kSteps` steps over the whole batch.
std::vector<double> plain_losses();

struct RunOptions {
  kernels::fsdp::BaseOptions base = {
      .sharding = kernels::fsdp::Sharding::kPerParameter, .format = kFormat, .gather_buffers = 2};
  kernels::compile::Keep keep = kernels::compile::Keep::kEverything;
  at::ScalarType compute = at::kFloat;
  std::vector<std::int64_t> sequences = {};  ///< empty: this rank's share
  bool shard_vocabulary = true;
  std::optional<kernels::fsdp::LossScaler> loss_scaler = {};
};

/// A sharded step bound to the problem's tensors; `problem` must outlive it.
std::unique_ptr<kernels::fsdp::ShardedStep> sharded_step(Problem& problem,
                                                         const kernels::fsdp::RankGroups& groups,
                                                         const RunOptions& options);

/// Losses of steps `first` to `last`, both included, counted from 1.
std::vector<double> run_steps(kernels::fsdp::ShardedStep& step, int first = 1, int last = kSteps);

}  // namespace assay::testing
