// SPDX-License-Identifier: Apache-2.0
// How an output is cut into tiles and into units of work: 128×128 over the last two dimensions (leading ones
// are a batch of matrices), 1×16384 for vectors, single rows and scalars. A unit owns whole tiles, so
// per-tile sums never depend on the number of threads.
#pragma once

#include <cstdint>
#include <vector>

namespace assay::harness {

/// Consecutive elements of one output that lie in one tile.
struct TileRun {
  std::int64_t begin = 0;  ///< flat index
  std::int64_t count = 0;
  std::int64_t tile = 0;
};

/// A block of rows of one unit whose elements are consecutive in memory: what the oracle is asked for at
/// once.
struct Chunk {
  std::int64_t begin = 0, count = 0;  ///< flat
};

class TileGrid {
 public:
  explicit TileGrid(const std::vector<std::int64_t>& shape);

  std::int64_t tiles() const { return matrices_ * tile_rows_ * tile_cols_; }
  std::int64_t units() const { return matrices_ * tile_rows_ * strips_; }
  std::int64_t cols() const { return cols_; }
  /// Flat index of a tile's first element.
  std::int64_t tile_begin(std::int64_t tile) const;
  /// The elements of unit `unit`, in ascending order, in chunks of at most `kChunk`.
  std::vector<Chunk> chunks(std::int64_t unit) const;
  /// Splits a chunk where tiles end.
  std::vector<TileRun> runs(const Chunk& chunk) const;

  static constexpr std::int64_t kTile = 128;
  static constexpr std::int64_t kVectorTile = 16384;
  static constexpr std::int64_t kChunk = 16384;

 private:
  std::int64_t matrices_ = 1, rows_ = 1, cols_ = 1;
  std::int64_t tile_height_ = kTile, tile_width_ = kTile;
  std::int64_t tile_rows_ = 0, tile_cols_ = 0;
  std::int64_t strip_width_ = 0, strips_ = 0;
};

}  // namespace assay::harness
