// SPDX-License-Identifier: Apache-2.0
// What one rank keeps resident under a sharded plan, from sizes alone: activations and logits are the step's,
// not counted here. A plan is chosen and a run is checked with the same numbers.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/fsdp/layout/adapter_layout.hpp"
#include "kernels/fsdp/layout/packed_layout.hpp"

namespace assay::kernels::fsdp {

/// Embedding and head are cut along the vocabulary and never gathered (engine/sharded_vocabulary.hpp).
struct DenseShape {
  std::int64_t vocabulary = 0, hidden = 0;
  std::int64_t element_bytes = 2;
  bool tied = false;               ///< one matrix for both
  std::int64_t norm_elements = 0;  ///< replicated: norms and biases
};

struct RankMemory {
  std::int64_t packed_bytes = 0;      ///< shards of all layers
  std::int64_t gather_bytes = 0;      ///< static buffers, each of the largest gathered layer
  std::int64_t vocabulary_bytes = 0;  ///< of the rank with the most rows
  std::int64_t replicated_bytes = 0;
  std::int64_t adapter_bytes = 0;  ///< f32 chunk, its gradient and AdamW's two moments
  std::int64_t resident() const {
    return packed_bytes + gather_bytes + vocabulary_bytes + replicated_bytes + adapter_bytes;
  }
};

/// The base is sharded over the layers' world, which may be a part of the ranks (hybrid; 1: replicated, and
/// nothing is gathered); vocabulary and adapters over all ranks, the adapters' world. Throws
/// std::invalid_argument for layers of different worlds or of one that does not divide all ranks, and for
/// fewer than one gather buffer.
RankMemory rank_memory(std::span<const PackedLayout> layers, const AdapterLayout& adapters,
                       const DenseShape& dense, int gather_buffers = 2);

/// The largest shard_bytes() that `layout` may have: its bytes over the world, and for every section at most
/// one group less one world-th (rounding the chunk up) and the alignment. A replicated base cannot pass for a
/// sharded one.
std::int64_t shard_bytes_limit(const PackedLayout& layout, Sharding sharding);

/// Bytes a rank receives for one gather of every layer: (world - 1) / world of what is gathered.
std::int64_t received_bytes(std::span<const PackedLayout> layers);

}  // namespace assay::kernels::fsdp
