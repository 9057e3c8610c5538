// SPDX-License-Identifier: Apache-2.0
// Which shape of kernel a call gets: pure functions of sizes, tested without a GPU. "Vector": 16 bytes, 8 or
// 4 elements.
#pragma once

#include <cstdint>

#include "kernels/llama/check.hpp"

namespace assay::kernels::llama {

/// Who holds a row of a norm.
enum class RowShape : std::uint8_t {
  kWarp,   ///< a warp, in registers: four rows a block, no barrier
  kBlock,  ///< a block, in registers
  kLoop,   ///< a block that reads the row twice: rows too long for registers, or not whole aligned vectors
};

struct RmsNormConfig {
  RowShape shape = RowShape::kBlock;
  int threads = 128;        ///< of a block
  int vectors = 1;          ///< of a row in one thread's registers, 1 or 2 (kWarp), 2 or 4 (kBlock); kLoop: 1
  std::int64_t blocks = 0;  ///< of the grid; a block takes every blocks-th row, kWarp every blocks-th four
  bool vectorized = true;   ///< false: rows are not whole aligned vectors

  bool operator==(const RmsNormConfig&) const = default;
};

/// `sums_weight_gradient`: blocks keep a sum of their own over all their rows, so there are few of them;
/// their number, and with it the order of summation, depends on these arguments alone.
struct RmsNormShape {
  std::int64_t rows = 0, hidden = 0;
  int element_bytes = 2;
  bool aligned = true;
  bool sums_weight_gradient = false;
};
RmsNormConfig choose_rms_norm_config(const RmsNormShape& shape);

/// Of rope: a block is a token; thread t holds vector t % vectors_per_half of both halves of head t /
/// vectors_per_half and of every heads_per_pass-th head from there.
struct RopeConfig {
  int threads = 32;
  int vectors_per_half = 1;  ///< the last one may be part of a vector
  int heads_per_pass = 1;
  bool vectorized = true;

  bool operator==(const RopeConfig&) const = default;
};
RopeConfig choose_rope_config(std::int64_t heads, std::int64_t head_dim, int element_bytes, bool aligned);

/// Of swiglu: a tile is threads · vectors vectors of one row.
struct SwigluConfig {
  int threads = 256;
  int vectors = 2;  ///< of each input in one thread's registers, 1 or 2
  std::int64_t tiles_per_row = 0;
  std::int64_t blocks = 0;  ///< rows · tiles_per_row
  bool vectorized = true;   ///< false: rows are not whole aligned vectors

  bool operator==(const SwigluConfig&) const = default;
};
SwigluConfig choose_swiglu_config(std::int64_t rows, std::int64_t columns, int element_bytes, bool aligned,
                                  int vectors);

/// Matrices without gaps between rows as one long row. Strides filled in.
SwigluForward flattened(SwigluForward args);
SwigluBackward flattened(SwigluBackward args);

}  // namespace assay::kernels::llama
