// SPDX-License-Identifier: Apache-2.0
// f32 matrices rounded to 16 bits in one pass: gradients of logits for the products, rows that do not count
// cleared; sums of gradients, scaled on the way.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/backprop/softmax_pass.hpp"

namespace assay::kernels::backprop {

struct RoundRows {
  const void* from = nullptr;             ///< device, [rows, columns], f32 or of the type of `to`
  void* to = nullptr;                     ///< device, [rows, columns], not overlapping `from`
  LogitType type = LogitType::kBfloat16;  ///< of `to`: kFloat16 or kBfloat16
  bool from_f32 = true;
  std::int64_t rows = 0, columns = 0;
  std::int64_t from_stride = 0, to_stride = 0;  ///< elements from row to row, at least `columns`
  const bool* counts =
      nullptr;  ///< device, [rows]: a row that is false becomes zeros and is not read; null: all count
  const float* factor = nullptr;  ///< device, one f32 that multiplies before the rounding; null: 1
};

/// Rounds to nearest, ties to even; what does not fit in f16 becomes infinite, NaN stays NaN. Enqueues one
/// kernel on `stream`, allocates nothing, may be captured. No rows or columns: nothing. Throws
/// std::invalid_argument for bad arguments, std::runtime_error when the launch fails.
void round_rows(const RoundRows& args, cudaStream_t stream);

}  // namespace assay::kernels::backprop
