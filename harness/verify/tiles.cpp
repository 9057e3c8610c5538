// SPDX-License-Identifier: Apache-2.0
// Index arithmetic of tiles and units of work.
#include "harness/verify/tiles.hpp"

#include <algorithm>

namespace assay::harness {
namespace {

// 16 tiles a unit: 262144 elements of a full unit keep a core busy for about a millisecond, and 1024×4096
// still gives 16 units.
constexpr std::int64_t kStripTiles = 16;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

TileGrid::TileGrid(const std::vector<std::int64_t>& shape) {
  const std::size_t rank = shape.size();
  cols_ = rank >= 1 ? shape[rank - 1] : 1;
  rows_ = rank >= 2 ? shape[rank - 2] : 1;
  for (std::size_t i = 0; i + 2 < rank; ++i) {
    matrices_ *= shape[i];
  }
  const bool vector = rows_ == 1 && matrices_ == 1;
  tile_height_ = vector ? 1 : kTile;
  tile_width_ = vector ? kVectorTile : kTile;
  tile_rows_ = ceil_div(rows_, tile_height_);
  tile_cols_ = ceil_div(cols_, tile_width_);
  strip_width_ = vector ? kVectorTile : kStripTiles * kTile;
  strips_ = ceil_div(cols_, strip_width_);
}

std::int64_t TileGrid::tile_begin(std::int64_t tile) const {
  const std::int64_t column = tile % tile_cols_, band = tile / tile_cols_;
  const std::int64_t matrix = band / tile_rows_, row = band % tile_rows_ * tile_height_;
  return (matrix * rows_ + row) * cols_ + column * tile_width_;
}

std::vector<Chunk> TileGrid::chunks(std::int64_t unit) const {
  const std::int64_t strip = unit % strips_, band = unit / strips_;
  const std::int64_t matrix = band / tile_rows_, first_row = band % tile_rows_ * tile_height_;
  const std::int64_t last_row = std::min(first_row + tile_height_, rows_);
  const std::int64_t first_col = strip * strip_width_;
  const std::int64_t width = std::min(strip_width_, cols_ - first_col);
  const std::int64_t together = width == cols_ ? std::max<std::int64_t>(1, kChunk / width) : 1;
  std::vector<Chunk> result;
  for (std::int64_t row = first_row; row < last_row; row += together) {
    const std::int64_t rows = std::min(together, last_row - row);
    result.push_back({(matrix * rows_ + row) * cols_ + first_col, rows * width});
  }
  return result;
}

std::vector<TileRun> TileGrid::runs(const Chunk& chunk) const {
  std::vector<TileRun> result;
  const std::int64_t end = chunk.begin + chunk.count;
  for (std::int64_t at = chunk.begin; at < end;) {
    const std::int64_t row = at / cols_, col = at % cols_;
    const std::int64_t matrix = row / rows_, tile_row = row % rows_ / tile_height_,
                       tile_col = col / tile_width_;
    const std::int64_t row_left = std::min((tile_col + 1) * tile_width_, cols_) - col;
    const std::int64_t count = std::min(row_left, end - at);
    result.push_back({at, count, (matrix * tile_rows_ + tile_row) * tile_cols_ + tile_col});
    at += count;
  }
  return result;
}

}  // namespace assay::harness
