// SPDX-License-Identifier: Apache-2.0
// Which kernel a skinny product gets: a pure function of sizes and device, tested without a GPU.
#pragma once

#include <cstdint>

#include "kernels/nf4/format.hpp"

namespace assay::kernels::nf4 {

struct SkinnyConfig {
  bool matrix = true;      ///< matrix instructions; false: one warp a row of W, any shape, any type
  int blocks_a_group = 4;  ///< absmax blocks whose sums one instruction keeps apart: 4, 2 or 1
  int column_tiles = 1;    ///< tiles of 8 columns of the instruction: 1 or 2
  int row_tiles = 1;       ///< tiles of 16 rows of W a thread block takes at a time: 1 or 2
  unsigned grid = 0;       ///< thread blocks

  bool operator==(const SkinnyConfig&) const = default;
};

/// Rows of x that the instruction's columns hold: each takes `blocks_a_group` of them.
constexpr int columns_of(const SkinnyConfig& config) {
  return 8 * config.column_tiles / config.blocks_a_group;
}

/// Thread blocks of 8 warps that fit one multiprocessor's registers without spilling any.
constexpr int blocks_a_multiprocessor(const SkinnyConfig& config) {
  return config.row_tiles == 1 && config.blocks_a_group > 1 ? 2 : 1;
}

struct SkinnyProblem {
  std::int64_t n = 0, k = 0;
  int m = 1;
  std::int32_t block_size = 64;
  ScalarType type = ScalarType::kBfloat16;
  bool aligned = true;  ///< packed and every row of x to 16 bytes
  int sm = 90;          ///< of the code that runs, not of the device: an sm_75 build has no bf16 instructions
  int multiprocessors = 132;
};

/// Rows of W in 16-row tiles that can be walked whole: what the matrix kernel needs.
bool fits_matrix_kernel(const SkinnyProblem& problem);

SkinnyConfig choose_skinny_config(const SkinnyProblem& problem);

}  // namespace assay::kernels::nf4
