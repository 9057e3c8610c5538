// SPDX-License-Identifier: Apache-2.0
// Every element lies in one chunk, one run and the right tile, whatever the shape.
#include "harness/verify/tiles.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "harness/verify/parallel.hpp"

namespace assay::harness {
namespace {

using Shape = std::vector<std::int64_t>;

std::int64_t numel(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    count *= extent;
  }
  return count;
}

/// Tile of every element as the definition gives it.
std::int64_t tile_by_definition(const Shape& shape, std::int64_t index) {
  if (numel(shape) == (shape.empty() ? 1 : shape.back())) {  // a vector, or a matrix of one row
    return index / TileGrid::kVectorTile;
  }
  const std::int64_t cols = shape.back(), rows = shape[shape.size() - 2];
  const std::int64_t matrix = index / (rows * cols), row = index / cols % rows, col = index % cols;
  const std::int64_t high = (rows + 127) / 128, wide = (cols + 127) / 128;
  return (matrix * high + row / 128) * wide + col / 128;
}

class TilesOf : public testing::TestWithParam<Shape> {};

TEST_P(TilesOf, every_element_is_visited_once_in_its_tile) {
  const Shape& shape = GetParam();
  const TileGrid grid(shape);
  std::vector<int> visits(static_cast<std::size_t>(numel(shape)));
  std::vector<std::int64_t> first(static_cast<std::size_t>(grid.tiles()), -1);
  for (std::int64_t unit = 0; unit < grid.units(); ++unit) {
    std::int64_t last = -1;
    for (const Chunk& chunk : grid.chunks(unit)) {
      ASSERT_LE(chunk.count, TileGrid::kChunk);
      ASSERT_GT(chunk.begin, last) << "ascending, so that the first bad element is the first";
      for (const TileRun& run : grid.runs(chunk)) {
        for (std::int64_t i = run.begin; i < run.begin + run.count; ++i) {
          ++visits[i];
          ASSERT_EQ(run.tile, tile_by_definition(shape, i)) << "element " << i;
          last = i;
        }
        if (first[run.tile] < 0) {
          first[run.tile] = run.begin;
        }
      }
    }
  }
  EXPECT_EQ(std::count(visits.begin(), visits.end(), 1), numel(shape));
  for (std::int64_t tile = 0; tile < grid.tiles(); ++tile) {
    EXPECT_EQ(grid.tile_begin(tile), first[tile]);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, TilesOf,
                         testing::Values(Shape{}, Shape{1}, Shape{0}, Shape{16384}, Shape{40000},
                                         Shape{1, 5000}, Shape{5000, 1}, Shape{128, 128}, Shape{129, 2049},
                                         Shape{300, 200}, Shape{3, 130, 140}, Shape{2, 2, 5, 300},
                                         Shape{0, 64}, Shape{64, 0}));

TEST(ParallelFor, calls_every_index_once) {
  std::vector<std::atomic<int>> calls(1000);
  parallel_for(1000, [&](std::int64_t i) { ++calls[i]; });
  for (const auto& count : calls) {
    ASSERT_EQ(count, 1);
  }
}

TEST(ParallelFor, rethrows_the_exception_of_a_worker) {
  EXPECT_THROW(parallel_for(100,
                            [](std::int64_t i) {
                              if (i == 37) {
                                throw std::runtime_error("37");
                              }
                            }),
               std::runtime_error);
}

}  // namespace
}  // namespace assay::harness
