// SPDX-License-Identifier: Apache-2.0
// None of the numbers below was measured yet; each says what it was reckoned from.
#include "kernels/llama/pointwise_config.hpp"

#include <algorithm>

namespace assay::kernels::llama {
namespace {

constexpr int kWarp = 32;
constexpr int kRowsOfWarps =
    4;  // a block of 128 threads: enough blocks fit to fill a multiprocessor with warps
constexpr int kMaxRowThreads =
    512;  // leaves 128 registers a thread, which four vectors of three tensors need
constexpr std::int64_t kMaxBlocks = std::int64_t{1} << 30;
// 132 multiprocessors · 768 threads of at most 80 registers, so that all blocks of a weight's gradient run at
// once.
constexpr std::int64_t kWeightGradientThreads = 96 << 10;
// Two 16-byte loads of each of 384 threads cover a token of 32 + 8 heads of 128 in one pass.
constexpr std::int64_t kRopeThreads = 384;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}
int whole_warps(std::int64_t threads) {
  return static_cast<int>(divide_up(std::max<std::int64_t>(threads, 1), kWarp) * kWarp);
}

/// Shape, threads and vectors.
RmsNormConfig row_config(const RmsNormShape& shape) {
  const std::int64_t per_vector = 16 / shape.element_bytes, vectors = divide_up(shape.hidden, per_vector);
  const bool whole = shape.aligned && shape.hidden % per_vector == 0;
  RmsNormConfig config{.vectorized = whole};
  if (whole && vectors <= 2 * kWarp && !shape.sums_weight_gradient) {
    config.shape = RowShape::kWarp;
    config.threads = kRowsOfWarps * kWarp;
    config.vectors = vectors <= kWarp ? 1 : 2;
  } else if (whole && vectors <= 4 * kMaxRowThreads) {
    config.vectors = vectors <= 2 * kMaxRowThreads ? 2 : 4;
    config.threads = whole_warps(divide_up(vectors, config.vectors));
  } else {
    config.shape = RowShape::kLoop;
    config.threads = std::min(kMaxRowThreads, whole_warps(vectors));
  }
  return config;
}

}  // namespace

RmsNormConfig choose_rms_norm_config(const RmsNormShape& shape) {
  RmsNormConfig config = row_config(shape);
  const std::int64_t rows_of_block = config.shape == RowShape::kWarp ? kRowsOfWarps : 1;
  const std::int64_t at_most =
      shape.sums_weight_gradient ? kWeightGradientThreads / config.threads : kMaxBlocks;
  config.blocks = std::min(divide_up(shape.rows, rows_of_block), at_most);
  return config;
}

std::int64_t rms_norm_workspace_bytes(const RmsNormBackward& args) {
  if (args.dw == nullptr || args.rows <= 0 || args.hidden <= 0)
    return 0;
  const RmsNormBackward a = with_strides(args);
  const RmsNormShape shape{.rows = a.rows,
                           .hidden = a.hidden,
                           .element_bytes = static_cast<int>(size_of(a.type)),
                           .aligned = is_aligned(a),
                           .sums_weight_gradient = true};
  return choose_rms_norm_config(shape).blocks * a.hidden * std::int64_t{sizeof(float)};
}

RopeConfig choose_rope_config(std::int64_t heads, std::int64_t head_dim, int element_bytes, bool aligned) {
  const std::int64_t per_vector = 16 / element_bytes, half = head_dim / 2;
  RopeConfig config{.vectorized = aligned && half % per_vector == 0};
  config.vectors_per_half = static_cast<int>(divide_up(half, per_vector));
  const std::int64_t in_a_pass = std::max<std::int64_t>(kRopeThreads / config.vectors_per_half, 1);
  const std::int64_t passes = divide_up(heads, in_a_pass);
  config.heads_per_pass = static_cast<int>(divide_up(heads, passes));
  config.threads = whole_warps(std::int64_t{config.heads_per_pass} * config.vectors_per_half);
  return config;
}

SwigluConfig choose_swiglu_config(std::int64_t rows, std::int64_t columns, int element_bytes, bool aligned,
                                  int vectors) {
  const std::int64_t per_vector = 16 / element_bytes;
  SwigluConfig config{.vectors = vectors, .vectorized = aligned && columns % per_vector == 0};
  config.tiles_per_row = divide_up(columns, std::int64_t{config.threads} * vectors * per_vector);
  config.blocks = rows * config.tiles_per_row;
  return config;
}

namespace {

template <class Args, class... Rows>
void flatten(Args& args, Rows&... rows) {
  if (!((rows.data == nullptr || rows.stride == args.columns) && ...))
    return;
  args.columns *= args.rows;
  args.rows = 1;
  ((rows.stride = args.columns), ...);
}

}  // namespace

SwigluForward flattened(SwigluForward a) {
  flatten(a, a.gate, a.up, a.y);
  return a;
}
SwigluBackward flattened(SwigluBackward a) {
  flatten(a, a.gate, a.up, a.dy, a.dgate, a.dup, a.y);
  return a;
}

}  // namespace assay::kernels::llama
