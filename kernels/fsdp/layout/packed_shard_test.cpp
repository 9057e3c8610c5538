// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/packed_shard.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

#include "kernels/nf4/dequantize_cpu.hpp"
#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::fsdp {
namespace {

/// A random weight, quantized doubly on the host.
struct Quantized {
  Quantized(const PackedParameter& parameter, unsigned seed) : count(parameter.weights()) {
    const auto blocks = (count + 63) / 64;
    std::vector<float> values(static_cast<std::size_t>(count)), absmax(static_cast<std::size_t>(blocks));
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 0.02f);
    for (float& value : values) value = normal(random);
    packed.resize(static_cast<std::size_t>((count + 1) / 2));
    codes.resize(absmax.size());
    nested.resize((absmax.size() + 255) / 256);
    nf4::dynamic_map(code.data());
    nf4::quantize_cpu(
        {.in = values.data(), .num_weights = count, .packed = packed.data(), .absmax = absmax.data()}, 1);
    nf4::mean_absmax_cpu(absmax.data(), blocks, &offset);
    nf4::quantize_absmax_cpu({.absmax = absmax.data(),
                              .num_blocks = blocks,
                              .nested_code = code.data(),
                              .offset = &offset,
                              .absmax_codes = codes.data(),
                              .nested_absmax = nested.data()},
                             1);
  }

  nf4::PackedWeights weights() const {
    nf4::PackedWeights view;
    view.packed = packed.data(), view.num_weights = count, view.absmax_codes = codes.data();
    view.nested_absmax = nested.data(), view.nested_code = code.data(), view.nested_offset = &offset;
    return view;
  }

  std::int64_t count;
  std::vector<std::uint8_t> packed, codes;
  std::vector<float> nested, code = std::vector<float>(256);
  float offset = 0.0f;
};

std::vector<PackedParameter> odd_layer() {
  return {{"q", 7, 5}, {"k", 128, 128}, {"v", 3, 16385}, {"up", 99, 1001}};
}

std::vector<Quantized> quantized_layer() {
  std::vector<Quantized> layer;
  for (const PackedParameter& parameter : odd_layer())
    layer.emplace_back(parameter, static_cast<unsigned>(layer.size()));
  return layer;
}

/// What an all-gather of the ranks' shards leaves in the buffer.
std::vector<std::byte> gather(const PackedLayout& layout, const std::vector<Quantized>& layer) {
  std::vector<std::byte> all(static_cast<std::size_t>(layout.gathered_bytes()));
  const auto bytes = static_cast<std::size_t>(layout.shard_bytes());
  for (int rank = 0; rank < layout.world(); ++rank)
    for (std::size_t p = 0; p < layer.size(); ++p)
      write_shard(layout, p, rank, layer[p].weights(),
                  std::span(all).subspan(static_cast<std::size_t>(rank) * bytes, bytes));
  return all;
}

template <class Test>
void for_each_layout(const Test& test) {
  for (const Sharding sharding : {Sharding::kPerParameter, Sharding::kFlat})
    for (int world = 1; world <= 8; ++world) test(PackedLayout(odd_layer(), world, sharding));
}

TEST(PackedShard, the_gathered_layer_holds_the_unsharded_bytes_for_any_world) {
  const auto layer = quantized_layer();
  for_each_layout([&](const PackedLayout& layout) {
    const auto gathered = gather(layout, layer);
    for (std::size_t p = 0; p < layer.size(); ++p) {
      std::vector<std::uint8_t> packed(layer[p].packed.size()), codes(layer[p].codes.size());
      std::vector<float> nested(layer[p].nested.size());
      copy_whole(layout, p, gathered, {packed, codes, nested});
      EXPECT_EQ(packed, layer[p].packed);
      EXPECT_EQ(codes, layer[p].codes);
      EXPECT_EQ(std::memcmp(nested.data(), layer[p].nested.data(), nested.size() * 4), 0);
    }
  });
}

TEST(PackedShard, pieces_read_in_place_decode_to_the_bits_of_the_whole) {
  const auto layer = quantized_layer();
  for_each_layout([&](const PackedLayout& layout) {
    const auto gathered = gather(layout, layer);
    for (std::size_t p = 0; p < layer.size(); ++p) {
      std::vector<std::uint16_t> whole(static_cast<std::size_t>(layer[p].count)), pieced(whole.size());
      nf4::dequantize_cpu(layer[p].weights(), whole.data(), nf4::ScalarType::kBfloat16, 1);
      for (const Piece& piece : layout.pieces(p))
        nf4::dequantize_cpu(
            in_gathered(layout, piece, gathered.data(), {layer[p].code.data(), &layer[p].offset}),
            pieced.data() + piece.first_weight, nf4::ScalarType::kBfloat16, 1);
      EXPECT_EQ(whole, pieced);
    }
  });
}

TEST(PackedShard, a_loader_that_forgets_the_statistics_is_seen) {
  const auto layer = quantized_layer();
  const PackedLayout layout(odd_layer(), 2);
  auto gathered = gather(layout, layer);
  const Piece last = layout.pieces(3).back();
  const std::int64_t at = last.rank * layout.shard_bytes() + last.absmax_codes;
  std::fill_n(gathered.begin() + at, (last.weights + 63) / 64, std::byte{0});
  std::vector<float> whole(static_cast<std::size_t>(layer[3].count)), pieced(whole.size());
  nf4::dequantize_cpu(layer[3].weights(), whole.data(), nf4::ScalarType::kFloat32, 1);
  for (const Piece& piece : layout.pieces(3))
    nf4::dequantize_cpu(in_gathered(layout, piece, gathered.data(), {layer[3].code.data(), &layer[3].offset}),
                        pieced.data() + piece.first_weight, nf4::ScalarType::kFloat32, 1);
  EXPECT_NE(whole, pieced);
}

TEST(PackedShard, padding_is_zero_whatever_the_rank) {
  const auto layer = quantized_layer();
  const PackedLayout layout(odd_layer(), 8);
  std::vector<std::byte> shard(static_cast<std::size_t>(layout.shard_bytes()));
  for (std::size_t p = 0; p < layer.size(); ++p) write_shard(layout, p, 7, layer[p].weights(), shard);
  std::int64_t owned = 0;
  for (std::size_t p = 0; p < layer.size(); ++p)
    for (const Piece& piece : layout.pieces(p)) owned += piece.rank == 7 ? piece.weights : 0;
  EXPECT_EQ(owned, 0) << "seven groups at most: the eighth rank owns none";
  EXPECT_TRUE(std::all_of(shard.begin(), shard.end(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST(PackedShard, weights_of_another_shape_or_a_single_level_are_refused) {
  const auto layer = quantized_layer();
  const PackedLayout layout(odd_layer(), 2);
  std::vector<std::byte> shard(static_cast<std::size_t>(layout.shard_bytes())), shorter(shard.size() - 1);
  EXPECT_THROW(write_shard(layout, 0, 0, layer[1].weights(), shard), std::invalid_argument);
  EXPECT_THROW(write_shard(layout, 1, 0, layer[1].weights(), shorter), std::invalid_argument);
  nf4::PackedWeights single = layer[1].weights();
  const std::vector<float> absmax(256, 1.0f);
  single.absmax = absmax.data(), single.absmax_codes = nullptr;
  single.nested_absmax = single.nested_code = single.nested_offset = nullptr;
  EXPECT_THROW(write_shard(layout, 1, 0, single, shard), std::invalid_argument);
}

}  // namespace
}  // namespace assay::kernels::fsdp
