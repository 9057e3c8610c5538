// SPDX-License-Identifier: Apache-2.0
// Which way to share a base out, from memory alone: sharding buys memory, not speed, so as little of it as
// fits.
#pragma once

#include <string>

#include "kernels/fsdp/layout/rank_memory.hpp"

namespace assay::kernels::fsdp {

struct ModelSizes {
  std::vector<PackedParameter> layer;  ///< of one layer; all are alike
  int layers = 0;
  std::vector<AdapterTensor> adapters;  ///< of the whole model
  DenseShape dense;
  PackedFormat format = {};
};

struct ShardPlan {
  int shard_ranks =
      1;  ///< over which a base is shared out: 1 replicated, all ranks fully sharded, between hybrid
  int gather_buffers = 0;  ///< layers gathered at a time; 0 where nothing is
  RankMemory memory;
  std::int64_t gathers_a_step = 0;   ///< once running (engine/gathered_layers.hpp)
  std::int64_t received_a_step = 0;  ///< bytes of those gathers, on each rank
  std::string reason;                ///< for people, with the numbers that decided
};

/// The smallest divisor of `ranks` whose shards fit into `rank_bytes` beside two gather buffers, then as many
/// buffers as fit. `rank_bytes` is what a rank has left for what `rank_memory` counts, activations and logits
/// taken off. Throws std::invalid_argument for a model without layers, ranks below 1, and a model that does
/// not fit fully sharded, with what it needs.
ShardPlan choose_plan(const ModelSizes& model, int ranks, std::int64_t rank_bytes);

}  // namespace assay::kernels::fsdp
