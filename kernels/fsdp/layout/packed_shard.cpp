// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/layout/packed_shard.hpp"

#include <cstring>
#include <stdexcept>
#include <string>

namespace assay::kernels::fsdp {
namespace {

void require_equal(const std::string& what, std::int64_t expected, std::int64_t found) {
  if (expected != found)
    throw std::invalid_argument(what + ": expected " + std::to_string(expected) + ", found " +
                                std::to_string(found));
}

/// Bytes of `weights` weights from a block's start on in each of the three arrays; tails rounded up.
struct Extent {
  Extent(const PackedFormat& format, std::int64_t weights)
      : codes((weights + 1) / 2),
        blocks((weights + format.block_size - 1) / format.block_size),
        groups((weights + format.group_weights() - 1) / format.group_weights()) {}
  std::int64_t codes, blocks, groups;
};

void copy(void* to, const void* from, std::int64_t bytes) {
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

}  // namespace

void write_shard(const PackedLayout& layout, std::size_t parameter, int rank, const nf4::PackedWeights& whole,
                 std::span<std::byte> shard) {
  const std::string& name = layout.parameters().at(parameter).name;
  const PackedFormat& format = layout.format();
  nf4::validate(whole);
  if (!whole.nested())
    throw std::invalid_argument(name + ": expected nested absmax, found a single level; quantize it doubly");
  require_equal(name + ", weights", layout.parameters()[parameter].weights(), whole.num_weights);
  require_equal(name + ", block size", format.block_size, whole.block_size);
  require_equal(name + ", nested block size", format.nested_block_size, whole.nested_block_size);
  require_equal("bytes of the shard", layout.shard_bytes(), static_cast<std::int64_t>(shard.size()));
  for (const Piece& piece : layout.pieces(parameter)) {
    if (piece.rank != rank)
      continue;
    const Extent start(format, piece.first_weight), size(format, piece.weights);
    copy(shard.data() + piece.codes, whole.packed + start.codes, size.codes);
    copy(shard.data() + piece.absmax_codes, whole.absmax_codes + start.blocks, size.blocks);
    copy(shard.data() + piece.nested_absmax, whole.nested_absmax + start.groups, size.groups * 4);
  }
}

nf4::PackedWeights in_gathered(const PackedLayout& layout, const Piece& piece, const std::byte* gathered,
                               const ReplicatedStatistics& statistics) {
  const std::byte* shard = gathered + piece.rank * layout.shard_bytes();
  nf4::PackedWeights weights;
  weights.packed = reinterpret_cast<const std::uint8_t*>(shard + piece.codes);
  weights.num_weights = piece.weights;
  weights.block_size = layout.format().block_size;
  weights.codebook = statistics.codebook;
  weights.absmax_codes = reinterpret_cast<const std::uint8_t*>(shard + piece.absmax_codes);
  weights.nested_absmax = reinterpret_cast<const float*>(shard + piece.nested_absmax);
  weights.nested_code = statistics.nested_code;
  weights.nested_offset = statistics.nested_offset;
  weights.nested_block_size = layout.format().nested_block_size;
  return weights;
}

void copy_whole(const PackedLayout& layout, std::size_t parameter, std::span<const std::byte> gathered,
                const WholeParameter& out) {
  const PackedFormat& format = layout.format();
  const Extent all(format, layout.parameters().at(parameter).weights());
  require_equal("bytes of the gathered layer", layout.gathered_bytes(),
                static_cast<std::int64_t>(gathered.size()));
  require_equal("bytes of codes", all.codes, static_cast<std::int64_t>(out.packed.size()));
  require_equal("absmax codes", all.blocks, static_cast<std::int64_t>(out.absmax_codes.size()));
  require_equal("nested absmax", all.groups, static_cast<std::int64_t>(out.nested_absmax.size()));
  for (const Piece& piece : layout.pieces(parameter)) {
    const std::byte* shard = gathered.data() + piece.rank * layout.shard_bytes();
    const Extent start(format, piece.first_weight), size(format, piece.weights);
    copy(out.packed.data() + start.codes, shard + piece.codes, size.codes);
    copy(out.absmax_codes.data() + start.blocks, shard + piece.absmax_codes, size.blocks);
    copy(out.nested_absmax.data() + start.groups, shard + piece.nested_absmax, size.groups * 4);
  }
}

}  // namespace assay::kernels::fsdp
