// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/plan.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

std::string gigabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

std::string name_of(int shard_ranks, int ranks) {
  if (shard_ranks == 1)
    return "replicated";
  return shard_ranks == ranks ? "fully sharded" : "sharded over groups of " + std::to_string(shard_ranks);
}

/// With the most buffers that fit, or two where none do.
ShardPlan plan_for(const ModelSizes& model, const AdapterLayout& adapters, int shard_ranks,
                   std::int64_t rank_bytes) {
  const std::vector<PackedLayout> layers(
      static_cast<std::size_t>(model.layers),
      PackedLayout(model.layer, shard_ranks, Sharding::kPerParameter, model.format));
  ShardPlan plan;
  plan.shard_ranks = shard_ranks;
  if (shard_ranks == 1) {
    plan.memory = rank_memory(layers, adapters, model.dense);
    return plan;
  }
  const int least = std::min(2, model.layers);
  plan.memory = rank_memory(layers, adapters, model.dense, least);
  const std::int64_t more = (rank_bytes - plan.memory.resident()) / layers[0].gathered_bytes();
  plan.gather_buffers = static_cast<int>(std::clamp<std::int64_t>(least + more, least, model.layers));
  plan.memory = rank_memory(layers, adapters, model.dense, plan.gather_buffers);
  plan.gathers_a_step = 2 * (model.layers - plan.gather_buffers);
  plan.received_a_step = plan.gathers_a_step * (layers[0].gathered_bytes() - layers[0].shard_bytes());
  return plan;
}

}  // namespace

ShardPlan choose_plan(const ModelSizes& model, int ranks, std::int64_t rank_bytes) {
  if (model.layers < 1 || ranks < 1)
    throw std::invalid_argument("plan: expected at least one layer and one rank, found " +
                                std::to_string(model.layers) + " and " + std::to_string(ranks));
  const AdapterLayout adapters(model.adapters, ranks);
  std::string passed_over;
  for (int shard_ranks = 1; shard_ranks <= ranks; ++shard_ranks) {
    if (ranks % shard_ranks != 0)
      continue;
    ShardPlan plan = plan_for(model, adapters, shard_ranks, rank_bytes);
    const std::string what = name_of(shard_ranks, ranks) + " needs " + gigabytes(plan.memory.resident());
    if (plan.memory.resident() <= rank_bytes) {
      plan.reason = passed_over + what + " of the " + gigabytes(rank_bytes) + " a rank has";
      if (plan.gather_buffers > 0)
        plan.reason += ", " + std::to_string(plan.gather_buffers) + " of " + std::to_string(model.layers) +
                       " layers gathered at a time";
      return plan;
    }
    passed_over += what + "; ";
  }
  throw std::invalid_argument("plan: expected a base that fits into " + gigabytes(rank_bytes) +
                              " a rank, found: " + passed_over +
                              "use more ranks, a smaller adapter, or offload");
}

}  // namespace assay::kernels::fsdp
