// SPDX-License-Identifier: Apache-2.0
// Products with 4-bit weights W [n, k], plainly: the f64 truth, and what people run today, 16-bit weights
// made first and multiplied then.
//   forward    y [m, n] = x [m, k] · Wᵀ + bias [n]         y[i][r] = Σ_c x[i][c] · w[r·k + c] + bias[r]
//   backward   dx [m, k] = dy [m, n] · W                  dx[i][c] = Σ_r dy[i][r] · w[r·k + c]
// with w of dequantize.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "reference/nf4/dequantize.hpp"

namespace assay::reference::nf4 {

enum class Direction { kForward, kBackward };

/// Host memory, everything row-major and packed.
struct Product {
  QuantizedWeights weights;  // count = n · k
  std::int64_t m = 0, n = 0, k = 0;
  Direction direction = Direction::kForward;
  Scalar type = Scalar::kBfloat16;
  const void* left = nullptr;  // of `type`: x [m, k] forward, dy [m, n] backward
  const void* bias = nullptr;  // of `type`: [n], forward alone; or null

  std::int64_t columns() const { return direction == Direction::kForward ? n : k; }  // of the result
  std::int64_t depth() const { return direction == Direction::kForward ? k : n; }
};

/// Columns [begin, end) of the result in f64, every step of it: out [m, end - begin]. Thread-safe.
void truth(const Product& product, std::int64_t begin, std::int64_t end, std::span<double> out);

/// The same columns as weights in `type` and f32 sums give them, added up in order of the depth, bias last,
/// and rounded once: out [m, end - begin] of `type`, aligned to its element. One thread.
void dequantize_then_multiply(const Product& product, std::int64_t begin, std::int64_t end, void* out);

}  // namespace assay::reference::nf4
