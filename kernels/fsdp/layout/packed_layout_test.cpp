// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/packed_layout.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/fsdp/layout/rank_memory.hpp"

namespace assay::kernels::fsdp {
namespace {

constexpr Sharding kBoth[] = {Sharding::kPerParameter, Sharding::kFlat};

/// Sizes below a group, of whole groups, odd ones, and an odd number of weights.
std::vector<PackedParameter> odd_layer() {
  return {{"q", 7, 5},     {"k", 128, 128},  {"v", 3, 16385},
          {"o", 160, 512}, {"up", 99, 1001}, {"down", 1, 49152}};
}

/// Counts, byte by byte, who writes the shard of each rank.
std::vector<std::vector<int>> writes(const PackedLayout& layout) {
  std::vector<std::vector<int>> count(static_cast<std::size_t>(layout.world()),
                                      std::vector<int>(static_cast<std::size_t>(layout.shard_bytes())));
  const auto add = [&](int rank, std::int64_t from, std::int64_t bytes) {
    for (std::int64_t at = from; at < from + bytes; ++at)
      ++count.at(static_cast<std::size_t>(rank)).at(static_cast<std::size_t>(at));
  };
  const std::int64_t group = layout.format().group_weights(), block = layout.format().block_size;
  for (std::size_t p = 0; p < layout.parameters().size(); ++p)
    for (const Piece& piece : layout.pieces(p)) {
      add(piece.rank, piece.codes, (piece.weights + 1) / 2);
      add(piece.rank, piece.absmax_codes, (piece.weights + block - 1) / block);
      add(piece.rank, piece.nested_absmax, (piece.weights + group - 1) / group * 4);
    }
  return count;
}

TEST(PackedLayout, every_weight_has_one_place_and_no_byte_has_two_owners) {
  for (const Sharding sharding : kBoth)
    for (int world = 1; world <= 8; ++world) {
      const PackedLayout layout(odd_layer(), world, sharding);
      for (std::size_t p = 0; p < layout.parameters().size(); ++p) {
        std::int64_t next = 0;
        for (const Piece& piece : layout.pieces(p)) {
          EXPECT_EQ(piece.first_weight, next);
          EXPECT_GT(piece.weights, 0);
          next += piece.weights;
        }
        EXPECT_EQ(next, layout.parameters()[p].weights());
      }
      for (const auto& rank : writes(layout))
        for (const int times : rank) ASSERT_LE(times, 1) << "world " << world;
    }
}

TEST(PackedLayout, no_piece_tears_a_group_from_its_statistics) {
  for (const Sharding sharding : kBoth)
    for (int world = 1; world <= 8; ++world) {
      const PackedLayout layout(odd_layer(), world, sharding);
      for (std::size_t p = 0; p < layout.parameters().size(); ++p)
        for (const Piece& piece : layout.pieces(p)) {
          EXPECT_EQ(piece.first_weight % 16384, 0);
          const bool last = piece.first_weight + piece.weights == layout.parameters()[p].weights();
          EXPECT_TRUE(last || piece.weights % 16384 == 0);
          EXPECT_EQ(piece.codes % 16, 0);
          EXPECT_EQ(piece.nested_absmax % 4, 0);
        }
    }
}

TEST(PackedLayout, a_shard_is_a_world_th_and_bounded_padding) {
  for (const Sharding sharding : kBoth)
    for (int world = 1; world <= 8; ++world) {
      const PackedLayout layout(odd_layer(), world, sharding);
      EXPECT_LE(layout.shard_bytes(), shard_bytes_limit(layout, sharding));
      EXPECT_GE(layout.gathered_bytes(), layout.unsharded_bytes());
      EXPECT_EQ(layout.shard_bytes() % kSectionAlignment, 0);
    }
}

TEST(PackedLayout, offsets_are_those_computed_by_hand) {
  // 160·512 = 5 groups: 3 and 2 over two ranks. 3·8192 codes, 3·256 absmax codes, 3·4 nested, up to 128.
  const PackedLayout layout({{"a", 160, 512}, {"b", 128, 128}}, 2);
  EXPECT_EQ(layout.shard_bytes(), 25472 + 8576);
  const auto a = layout.pieces(0), b = layout.pieces(1);
  ASSERT_EQ(a.size(), 2u);
  EXPECT_EQ(a[1].rank, 1);
  EXPECT_EQ(a[1].first_weight, 3 * 16384);
  EXPECT_EQ(a[1].weights, 2 * 16384);
  EXPECT_EQ(a[1].codes, 0);
  EXPECT_EQ(a[1].absmax_codes, 24576);
  EXPECT_EQ(a[1].nested_absmax, 25344);
  ASSERT_EQ(b.size(), 1u) << "the second rank owns nothing of one group";
  EXPECT_EQ(b[0].codes, 25472);
}

TEST(PackedLayout, flat_parameters_straddle_ranks_and_pad_once) {
  const std::vector<PackedParameter> layer{{"a", 1, 3 * 16384}, {"b", 1, 16384}, {"c", 1, 2 * 16384}};
  const PackedLayout flat(layer, 3, Sharding::kFlat), each(layer, 3);
  EXPECT_EQ(flat.pieces(0).size(), 2u);
  EXPECT_EQ(flat.pieces(1).front().rank, 1);
  EXPECT_EQ(flat.pieces(1).front().codes, 8192);
  EXPECT_EQ(flat.shard_bytes(), 17024);     // two groups, 16 904 up to 128
  EXPECT_EQ(each.shard_bytes(), 3 * 8576);  // one group of each
}

TEST(PackedLayout, the_8b_layer_over_two_gpus_has_the_bytes_of_the_note) {
  const std::vector<PackedParameter> layer{{"q", 4096, 4096},    {"k", 1024, 4096},     {"v", 1024, 4096},
                                           {"o", 4096, 4096},    {"gate", 14336, 4096}, {"up", 14336, 4096},
                                           {"down", 4096, 14336}};
  const PackedLayout layout(layer, 2);
  EXPECT_EQ(layout.unsharded_bytes(), std::int64_t{13312} * 8452);  // 218 103 808 weights
  EXPECT_NEAR(static_cast<double>(layout.unsharded_bytes()) / 218103808.0, 0.5159, 1e-4);
  EXPECT_LT(layout.shard_bytes() - layout.unsharded_bytes() / 2, 7 * kSectionAlignment);
}

TEST(PackedLayout, other_block_sizes_move_the_group) {
  const PackedLayout layout({{"a", 64, 64}}, 2, Sharding::kPerParameter,
                            {.block_size = 128, .nested_block_size = 16});
  const auto pieces = layout.pieces(0);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[1].first_weight, 2048);
  EXPECT_EQ(pieces[1].absmax_codes, 1024);
}

TEST(PackedLayout, what_makes_no_layer_is_refused) {
  EXPECT_THROW(PackedLayout({{"a", 0, 4}}, 2), std::invalid_argument);
  EXPECT_THROW(PackedLayout({{"a", 4, 4}, {"a", 4, 4}}, 2), std::invalid_argument);
  EXPECT_THROW(PackedLayout({{"a", 4, 4}}, 0), std::invalid_argument);
  EXPECT_THROW(PackedLayout({{"a", 4, 4}}, 2, Sharding::kFlat, {.block_size = 48}), std::invalid_argument);
  EXPECT_THROW(PackedLayout({{"a", 4, 4}}, 2, Sharding::kFlat, {.nested_block_size = 3}),
               std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
