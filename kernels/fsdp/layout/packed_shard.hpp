// SPDX-License-Identifier: Apache-2.0
// From whole packed parameters to the shard of a rank, and from the gathered layer to weights a kernel can
// read. Host memory; on a device the same offsets serve, with copies of the caller's.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/fsdp/layout/packed_layout.hpp"
#include "kernels/nf4/format.hpp"

namespace assay::kernels::fsdp {

/// Copies what `rank` owns of one whole nested-quantized parameter (host pointers) into its shard
/// [shard_bytes()], which began as zeros: padding and the bytes behind a parameter's last weight stay zero,
/// so shards are deterministic. Called parameter by parameter, a loader never holds more than one beside the
/// shard. Throws std::invalid_argument for weights that are not the parameter's (count, block sizes,
/// single-level absmax) and a shard of another size.
void write_shard(const PackedLayout& layout, std::size_t parameter, int rank, const nf4::PackedWeights& whole,
                 std::span<std::byte> shard);

/// What is the same on all ranks and not in the shards.
struct ReplicatedStatistics {
  const float* nested_code = nullptr;    ///< [256]
  const float* nested_offset = nullptr;  ///< [1], the parameter's
  nf4::Codebook codebook = nf4::Codebook::kNf4;
};

/// `piece` of the gathered layer as weights that nf4::dequantize and the products take: piece.weights of
/// them, to be written from element piece.first_weight of the parameter on. `gathered` is not read, so it may
/// be device memory.
nf4::PackedWeights in_gathered(const PackedLayout& layout, const Piece& piece, const std::byte* gathered,
                               const ReplicatedStatistics& statistics);

/// The whole parameter's arrays copied out of the gathered layer, as they were before sharding. Each span as
/// long as the parameter has codes bytes, blocks and groups; throws std::invalid_argument otherwise.
struct WholeParameter {
  std::span<std::uint8_t> packed, absmax_codes;
  std::span<float> nested_absmax;
};
void copy_whole(const PackedLayout& layout, std::size_t parameter, std::span<const std::byte> gathered,
                const WholeParameter& out);

}  // namespace assay::kernels::fsdp
