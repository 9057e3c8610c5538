// SPDX-License-Identifier: Apache-2.0
// Configuration of the skinny product. Numbers marked "predicted" come from the arithmetic in
// docs/nf4_matmul.md and wait for a measurement.
#include "kernels/nf4/matmul/skinny_config.hpp"

#include <algorithm>

namespace assay::kernels::nf4 {
namespace {

constexpr std::int64_t kRowsATile = 16;
constexpr std::int64_t kPlainWarps = 8;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// Every thread block gets the same number of tiles, up to one: where memory is the limit they all advance at
/// the same rate, so the slowest is the one with most tiles, however many share its multiprocessor.
unsigned even_grid(std::int64_t tiles, std::int64_t most) {
  const std::int64_t rounds = std::max<std::int64_t>(1, divide_up(tiles, most));
  return static_cast<unsigned>(divide_up(tiles, rounds));
}

}  // namespace

bool fits_matrix_kernel(const SkinnyProblem& p) {
  const bool has_instruction =
      p.type == ScalarType::kFloat16 || (p.type == ScalarType::kBfloat16 && p.sm >= 80);
  return has_instruction && p.aligned && p.block_size >= 64 && p.k > 0 && p.k % 64 == 0;
}

SkinnyConfig choose_skinny_config(const SkinnyProblem& p) {
  SkinnyConfig config;
  if (!fits_matrix_kernel(p)) {
    config = {.matrix = false, .blocks_a_group = 1, .column_tiles = 1, .row_tiles = 1, .grid = 0};
    config.grid = static_cast<unsigned>(divide_up(p.n, kPlainWarps));
    return config;
  }
  config.blocks_a_group = p.m <= 2 ? 4 : p.m <= 4 ? 2 : 1;
  config.column_tiles = p.m <= 8 ? 1 : 2;
  // x is read from L2 once a thread block and tile, 4·M / rows times the bytes of the weights: from 5 rows
  // on, two tiles share it, if enough tiles remain for every multiprocessor. sm_75 has no shared memory for 2
  // × 2 tiles.
  const bool fits_two = p.sm >= 80 || config.column_tiles == 1;
  if (p.m > 4 && fits_two && 8 * p.n >= 7 * 2 * kRowsATile * p.multiprocessors)
    config.row_tiles = 2;
  const std::int64_t most = std::int64_t{blocks_a_multiprocessor(config)} * p.multiprocessors;
  config.grid = even_grid(divide_up(p.n, kRowsATile * config.row_tiles), most);
  return config;
}

}  // namespace assay::kernels::nf4
