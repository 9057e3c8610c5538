// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/rank_memory.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace assay::kernels::fsdp {

RankMemory rank_memory(std::span<const PackedLayout> layers, const AdapterLayout& adapters,
                       const DenseShape& dense, int gather_buffers) {
  const int ranks = adapters.split().world(), world = layers.empty() ? 1 : layers[0].world();
  if (gather_buffers < 1)
    throw std::invalid_argument("rank memory: expected at least one gather buffer, found " +
                                std::to_string(gather_buffers));
  RankMemory memory;
  std::int64_t largest = 0;
  for (const PackedLayout& layer : layers) {
    if (layer.world() != world || ranks % layer.world() != 0)
      throw std::invalid_argument("rank memory: expected every layer over the same number of the adapters' " +
                                  std::to_string(ranks) + " ranks, found " + std::to_string(layer.world()));
    memory.packed_bytes += layer.shard_bytes();
    largest = std::max(largest, layer.gathered_bytes());
  }
  memory.gather_bytes = world == 1 ? 0 : gather_buffers * largest;
  const std::int64_t rows = Split(dense.vocabulary, ranks).size(0);
  memory.vocabulary_bytes = rows * dense.hidden * dense.element_bytes * (dense.tied ? 1 : 2);
  memory.replicated_bytes = dense.norm_elements * dense.element_bytes;
  memory.adapter_bytes = adapters.split().chunk() * 4 * 4;
  return memory;
}

std::int64_t shard_bytes_limit(const PackedLayout& layout, Sharding sharding) {
  const auto parameters = static_cast<std::int64_t>(layout.parameters().size());
  const std::int64_t sections =
      sharding == Sharding::kFlat ? std::min<std::int64_t>(parameters, 1) : parameters;
  const std::int64_t world = layout.world();
  const std::int64_t rounding = layout.format().group_bytes() * (world - 1);
  return (layout.unsharded_bytes() + sections * rounding) / world + sections * (kSectionAlignment - 1);
}

std::int64_t received_bytes(std::span<const PackedLayout> layers) {
  std::int64_t bytes = 0;
  for (const PackedLayout& layer : layers) bytes += layer.gathered_bytes() - layer.shard_bytes();
  return bytes;
}

}  // namespace assay::kernels::fsdp
