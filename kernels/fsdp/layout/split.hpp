// SPDX-License-Identifier: Apache-2.0
// How a dimension is cut over ranks: equal chunks, rounded up, so that every rank sends a message of the same
// size.
#pragma once

#include <cstdint>

namespace assay::kernels::fsdp {

/// `count` items in `world` chunks of ceil(count / world) items each, as FSDP2 cuts dimension 0: the ranks
/// behind the last item own less, perhaps nothing, and pad.
class Split {
 public:
  /// `multiple`: chunks are rounded up to it (16 f32 elements keep a chunk aligned to 64 bytes). Throws
  /// std::invalid_argument for a negative count, a world or multiple below 1.
  Split(std::int64_t count, int world, std::int64_t multiple = 1);

  std::int64_t count() const { return count_; }
  int world() const { return world_; }
  std::int64_t chunk() const { return chunk_; }  ///< of every rank, padding included
  std::int64_t padded() const { return chunk_ * world_; }

  std::int64_t first(int rank) const;  ///< the first item of `rank`; `count()` where it owns none
  std::int64_t size(int rank) const;   ///< items it owns, without padding
  int owner(std::int64_t item) const;  ///< of an item in [0, count)
  std::int64_t local(std::int64_t item) const { return item % chunk_; }  ///< its place in the owner's chunk

 private:
  std::int64_t count_ = 0, chunk_ = 0;
  int world_ = 1;
};

}  // namespace assay::kernels::fsdp
