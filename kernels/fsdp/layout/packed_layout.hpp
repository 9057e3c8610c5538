// SPDX-License-Identifier: Apache-2.0
// Where the packed NF4 weights of one layer lie when they are sharded, and where after the all-gather. Bytes
// only: the tables are the same for a CPU buffer and a GPU buffer, and nothing here touches memory.
//
// The unit is the group: the block_size · nested_block_size (64 · 256 = 16 384) consecutive row-major weights
// that share one second-level statistic. A group is 8 192 bytes of codes, 256 bytes of absmax codes and one
// f32, so a parameter is three matrices with one row a group, and all three are cut along dimension 0 at the
// same rows: no block is torn from its scale. One rank's shard of a layer is one message,
//   [codes | absmax codes | nested absmax | padding] of section 0, then of section 1, …
// and the gathered layer is `world` such messages one behind the other (rank-major, as an all-gather leaves
// them). It is read in place: `pieces` says which runs of a parameter lie where. A section is one parameter
// (per-parameter layout, FSDP2's) or the whole layer (flat layout, FSDP1's: less padding, parameters straddle
// ranks).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/fsdp/layout/split.hpp"

namespace assay::kernels::fsdp {

struct PackedParameter {
  std::string name;
  std::int64_t rows = 0, columns = 0;  ///< of the weight before it was packed
  std::int64_t weights() const { return rows * columns; }
};

/// Double-quantized: 4-bit codes, one 8-bit absmax code a block, one f32 for nested_block_size blocks. The
/// parameter's f32 offset and the 256 nested codes are the same on all ranks and are not sharded.
struct PackedFormat {
  std::int32_t block_size = 64, nested_block_size = 256;
  std::int64_t group_weights() const { return std::int64_t{block_size} * nested_block_size; }
  std::int64_t group_codes_bytes() const { return group_weights() / 2; }
  std::int64_t group_absmax_bytes() const { return nested_block_size; }
  std::int64_t group_bytes() const { return group_codes_bytes() + group_absmax_bytes() + 4; }
};

enum class Sharding : std::uint8_t { kPerParameter, kFlat };

/// Sections begin at multiples of this, in a shard and so in the gathered layer: 16-byte loads and NCCL's are
/// aligned.
inline constexpr std::int64_t kSectionAlignment = 128;

/// A run of one parameter's weights that lies contiguously: byte offsets into the shard of `rank`, or with
/// rank · shard_bytes() added into the gathered layer. `weights` is a multiple of the group but at the
/// parameter's end.
struct Piece {
  int rank = 0;
  std::int64_t first_weight = 0, weights = 0;
  std::int64_t codes = 0, absmax_codes = 0, nested_absmax = 0;
};

class PackedLayout {
 public:
  /// Throws std::invalid_argument for a world below 1, a parameter without weights or given twice, and block
  /// sizes that are no powers of two (block_size 32 to 4096).
  PackedLayout(std::vector<PackedParameter> parameters, int world,
               Sharding sharding = Sharding::kPerParameter, PackedFormat format = {});

  const std::vector<PackedParameter>& parameters() const { return parameters_; }
  const PackedFormat& format() const { return format_; }
  int world() const { return world_; }
  /// Of every rank, padding included: what each contributes to the all-gather.
  std::int64_t shard_bytes() const { return shard_bytes_; }
  std::int64_t gathered_bytes() const { return shard_bytes_ * world_; }
  /// Bytes of the layer when it is not sharded: whole groups, no alignment.
  std::int64_t unsharded_bytes() const;

  /// The runs of a parameter in ascending order; together they are all its weights, once. Ranks that own none
  /// of it do not appear.
  std::vector<Piece> pieces(std::size_t parameter) const;

 private:
  struct Section {
    Split groups;
    std::int64_t offset = 0;  ///< in a shard
  };
  std::int64_t groups_of(std::size_t parameter) const;

  std::vector<PackedParameter> parameters_;
  PackedFormat format_;
  int world_ = 1;
  std::vector<Section> sections_;
  std::vector<std::size_t> section_of_;       ///< by parameter
  std::vector<std::int64_t> first_group_of_;  ///< within its section
  std::int64_t shard_bytes_ = 0;
};

}  // namespace assay::kernels::fsdp
