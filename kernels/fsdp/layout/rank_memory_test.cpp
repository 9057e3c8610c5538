// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/rank_memory.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

std::vector<PackedLayout> llama(int layers, std::int64_t hidden, std::int64_t kv, std::int64_t inner,
                                int world) {
  const std::vector<PackedParameter> layer{
      {"q", hidden, hidden},   {"k", kv, hidden},     {"v", kv, hidden},      {"o", hidden, hidden},
      {"gate", inner, hidden}, {"up", inner, hidden}, {"down", hidden, inner}};
  return {static_cast<std::size_t>(layers), PackedLayout(layer, world)};
}

AdapterLayout rank16(int layers, std::int64_t hidden, std::int64_t kv, std::int64_t inner, int world) {
  const std::int64_t elements = 16 * (2 * 2 * hidden + 2 * (hidden + kv) + 3 * (hidden + inner));
  return {{{"adapters", layers, elements}}, world};
}

TEST(RankMemory, the_8b_model_over_two_ranks_has_the_bytes_computed_by_hand) {
  const auto layers = llama(32, 4096, 1024, 14336, 2);
  const RankMemory memory = rank_memory(layers, rank16(32, 4096, 1024, 14336, 2),
                                        {.vocabulary = 128256, .hidden = 4096, .norm_elements = 65 * 4096});
  EXPECT_NEAR(static_cast<double>(memory.packed_bytes), 32.0 * 13312 * 8452 / 2, 32 * 7 * 128);  // 1.80 GB
  EXPECT_EQ(memory.vocabulary_bytes, std::int64_t{64128} * 4096 * 2 * 2);                        // 1.05 GB
  EXPECT_EQ(memory.adapter_bytes, std::int64_t{41943040} / 2 * 16);                              // 336 MB
  EXPECT_EQ(memory.gather_bytes, 2 * layers[0].gathered_bytes());                                // 225 MB
  EXPECT_EQ(memory.resident(), memory.packed_bytes + memory.gather_bytes + memory.vocabulary_bytes +
                                   memory.replicated_bytes + memory.adapter_bytes);
}

TEST(RankMemory, more_ranks_never_keep_more_packed_bytes) {
  std::int64_t before =
      rank_memory(llama(80, 8192, 1024, 28672, 1), rank16(80, 8192, 1024, 28672, 1), {}).packed_bytes;
  EXPECT_NEAR(static_cast<double>(before), 35.3e9, 0.1e9);  // the note's NF4 bytes of 70B
  for (int world = 2; world <= 8; ++world) {
    const auto layers = llama(80, 8192, 1024, 28672, world);
    const std::int64_t now = rank_memory(layers, rank16(80, 8192, 1024, 28672, world), {}).packed_bytes;
    EXPECT_LT(now, before);
    EXPECT_LE(now, 80 * shard_bytes_limit(layers[0], Sharding::kPerParameter));
    before = now;
  }
}

TEST(RankMemory, one_rank_gathers_nothing_and_receives_nothing) {
  const auto layers = llama(2, 256, 64, 512, 1);
  EXPECT_EQ(rank_memory(layers, rank16(2, 256, 64, 512, 1), {}).gather_bytes, 0);
  EXPECT_EQ(received_bytes(layers), 0);
}

TEST(RankMemory, a_tied_head_is_counted_once) {
  const auto layers = llama(1, 256, 64, 512, 2);
  const AdapterLayout adapters = rank16(1, 256, 64, 512, 2);
  const DenseShape untied{.vocabulary = 101, .hidden = 256},
      tied{.vocabulary = 101, .hidden = 256, .tied = true};
  EXPECT_EQ(rank_memory(layers, adapters, tied).vocabulary_bytes, 51 * 256 * 2);
  EXPECT_EQ(rank_memory(layers, adapters, untied).vocabulary_bytes, 51 * 256 * 4);
}

TEST(RankMemory, layers_of_another_world_and_no_buffer_are_refused) {
  const auto layers = llama(1, 256, 64, 512, 2);
  EXPECT_THROW(rank_memory(layers, rank16(1, 256, 64, 512, 3), {}), std::invalid_argument);
  EXPECT_THROW(rank_memory(layers, rank16(1, 256, 64, 512, 2), {}, 0), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
