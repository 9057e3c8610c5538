// SPDX-License-Identifier: Apache-2.0
// The norm on the CPU: the formulas of a row, compiled for every instruction set, and the work sharing.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/llama/rms_norm_cpu.cpp"
// clang-format off: once per target, in this order
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/llama/cpu_rows-inl.hpp"
// clang-format on

#include <cmath>

#include "kernels/llama/rms_norm.hpp"

#ifndef ASSAY_KERNELS_LLAMA_BLOCKS_OF_ROWS
#define ASSAY_KERNELS_LLAMA_BLOCKS_OF_ROWS
namespace assay::kernels::llama {
/// Block b of `count` has rows b, b + count, …: the shares of a weight's gradient.
struct BlocksOfRows {
  RmsNormBackward args;
  std::int64_t count;
};
}  // namespace assay::kernels::llama
#endif

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::llama::HWY_NAMESPACE {

template <ElementType kType, class Rows>
HWY_INLINE auto* row_of(const Rows& rows, std::int64_t row) {
  using Value = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(rows.data)>>,
                                   const Element<kType>, Element<kType>>;
  return rows.data == nullptr ? nullptr : static_cast<Value*>(rows.data) + row * rows.stride;
}

template <ElementType kType>
void forward_rows(const RmsNormForward& args, std::int64_t first, std::int64_t last) {
  const Floats df;
  const auto hidden = static_cast<std::size_t>(args.hidden);
  const auto* const weight = static_cast<const Element<kType>*>(args.weight);
  for (std::int64_t row = first; row < last; ++row) {
    const auto* h = row_of<kType>(args.x, row);
    if (args.residual.data != nullptr) {
      const auto* const residual = row_of<kType>(args.residual, row);
      auto* const sum = row_of<kType>(args.sum, row);
      for_each_vector(hidden, [&](std::size_t i, std::size_t n) HWY_ATTR {
        store<kType>(hn::Add(load<kType>(h + i, n), load<kType>(residual + i, n)), sum + i, n);
      });
      h = sum;
    }
    const double squares = sum_over_row(hidden, [&](std::size_t i, std::size_t n) HWY_ATTR {
      const auto x = load<kType>(h + i, n);
      return hn::Mul(x, x);
    });
    const auto rstd = static_cast<float>(
        1.0 / std::sqrt(squares / static_cast<double>(hidden) + static_cast<double>(args.eps)));
    if (args.rstd != nullptr)
      args.rstd[row] = rstd;
    auto* const y = row_of<kType>(args.y, row);
    for_each_vector(hidden, [&](std::size_t i, std::size_t n) HWY_ATTR {
      const auto unit = hn::Mul(load<kType>(h + i, n), hn::Set(df, rstd));
      store<kType>(hn::Mul(unit, load<kType>(weight + i, n)), y + i, n);
    });
  }
}

/// `partial` null, or the block's sum of dy · n, which the first row starts.
template <ElementType kType>
void backward_row(const RmsNormBackward& args, std::int64_t row, float* partial, bool starts) {
  const Floats df;
  const auto hidden = static_cast<std::size_t>(args.hidden);
  const auto* const weight = static_cast<const Element<kType>*>(args.weight);
  const auto* const h = row_of<kType>(args.h, row);
  const auto* const dy = row_of<kType>(args.dy, row);
  const auto* const dsum = row_of<kType>(args.dsum, row);
  auto* const dh = row_of<kType>(args.dh, row);
  const auto rstd = hn::Set(df, args.rstd[row]);
  const double dot = sum_over_row(hidden, [&](std::size_t i, std::size_t n) HWY_ATTR {
    const auto unit = hn::Mul(load<kType>(h + i, n), rstd), g = load<kType>(dy + i, n);
    if (partial != nullptr) {
      const auto before = starts ? hn::Zero(df) : load(partial + i, n);
      store(hn::MulAdd(g, unit, before), partial + i, n);
    }
    return hn::Mul(hn::Mul(g, load<kType>(weight + i, n)), unit);
  });
  const auto mean = hn::Set(df, static_cast<float>(dot / static_cast<double>(hidden)));
  for_each_vector(hidden, [&](std::size_t i, std::size_t n) HWY_ATTR {
    const auto unit = hn::Mul(load<kType>(h + i, n), rstd);
    const auto g = hn::Mul(load<kType>(dy + i, n), load<kType>(weight + i, n));
    auto gradient = hn::Mul(rstd, hn::NegMulAdd(unit, mean, g));
    if (dsum != nullptr)
      gradient = hn::Add(gradient, load<kType>(dsum + i, n));
    store<kType>(gradient, dh + i, n);
  });
}

template <ElementType kType>
void backward_rows(const RmsNormBackward& args, std::int64_t first, std::int64_t last) {
  for (std::int64_t row = first; row < last; ++row) backward_row<kType>(args, row, nullptr, false);
}

/// Blocks of rows b, b + count, …, each with a sum of its own.
template <ElementType kType>
void blocks_of(const BlocksOfRows& args, std::int64_t first, std::int64_t last) {
  const RmsNormBackward& a = args.args;
  for (std::int64_t block = first; block < last; ++block) {
    float* const partial = static_cast<float*>(a.workspace) + block * a.hidden;
    for (std::int64_t row = block; row < a.rows; row += args.count)
      backward_row<kType>(a, row, partial, row == block);
  }
}
/// Columns [first, last) of Σ over blocks: by sixteens, so that an error passes through few
/// additions.
template <ElementType kType>
void columns_of(const BlocksOfRows& args, std::int64_t first, std::int64_t last) {
  constexpr std::int64_t kTogether = 16;
  const Floats df;
  const RmsNormBackward& a = args.args;
  const auto* const partial = static_cast<const float*>(a.workspace) + first;
  auto* const dw = static_cast<Element<kType>*>(a.dw) + first;
  for_each_vector(static_cast<std::size_t>(last - first), [&](std::size_t i, std::size_t n) HWY_ATTR {
    auto sum = hn::Zero(df);
    for (std::int64_t begin = 0; begin < args.count; begin += kTogether) {
      auto some = hn::Zero(df);
      for (std::int64_t b = begin; b < std::min(begin + kTogether, args.count); ++b)
        some = hn::Add(some, load(partial + b * a.hidden + i, n));
      sum = hn::Add(sum, some);
    }
    store<kType>(sum, dw + i, n);
  });
}

void forward(const RmsNormForward& args, std::int64_t first, std::int64_t last) {
  ASSAY_LLAMA_OF_EVERY_TYPE(args.type, forward_rows)
}
void backward(const RmsNormBackward& args, std::int64_t first, std::int64_t last) {
  ASSAY_LLAMA_OF_EVERY_TYPE(args.type, backward_rows)
}
void backward_blocks(const BlocksOfRows& args, std::int64_t first, std::int64_t last) {
  ASSAY_LLAMA_OF_EVERY_TYPE(args.args.type, blocks_of)
}
void sum_columns(const BlocksOfRows& args, std::int64_t first, std::int64_t last) {
  ASSAY_LLAMA_OF_EVERY_TYPE(args.args.type, columns_of)
}

}  // namespace assay::kernels::llama::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <cstring>

#include "kernels/common/instruction_sets.hpp"
#include "kernels/common/parallel_for.hpp"
#include "kernels/llama/check.hpp"
#include "kernels/llama/pointwise_cpu.hpp"

namespace assay::kernels::llama {
HWY_EXPORT(forward);
HWY_EXPORT(backward);
HWY_EXPORT(backward_blocks);
HWY_EXPORT(sum_columns);
namespace {

constexpr std::int64_t kElementsPerRange = 1 << 15;

std::int64_t rows_per_range(std::int64_t hidden) {
  return std::max<std::int64_t>(1, kElementsPerRange / hidden);
}

template <class Forward>
void run_forward(Forward forward, const RmsNormForward& given, int num_threads) {
  check(given);
  if (given.rows == 0 || given.hidden == 0)
    return;
  const RmsNormForward args = with_strides(given);
  parallel_for(args.rows, rows_per_range(args.hidden), num_threads,
               [&](std::int64_t first, std::int64_t last) { forward(args, first, last); });
}

template <class Backward, class Blocks, class Columns>
void run_backward(Backward backward, Blocks blocks, Columns columns, const RmsNormBackward& given,
                  int num_threads) {
  check(given);
  if (given.rows == 0 && given.hidden > 0 && given.dw != nullptr)
    std::memset(given.dw, 0, static_cast<std::size_t>(given.hidden) * size_of(given.type));
  if (given.rows == 0 || given.hidden == 0)
    return;
  const RmsNormBackward args = with_strides(given);
  if (args.dw == nullptr) {
    parallel_for(args.rows, rows_per_range(args.hidden), num_threads,
                 [&](std::int64_t first, std::int64_t last) { backward(args, first, last); });
    return;
  }
  const std::int64_t count = rms_norm_workspace_bytes(args) / (args.hidden * std::int64_t{sizeof(float)});
  const BlocksOfRows shared{args, count};
  parallel_for(count, 1, num_threads,
               [&](std::int64_t first, std::int64_t last) { blocks(shared, first, last); });
  constexpr std::int64_t kColumns = 256;
  parallel_for(args.hidden, kColumns, num_threads,
               [&](std::int64_t first, std::int64_t last) { columns(shared, first, last); });
}

std::size_t index_of(const std::string& instruction_set) {
  hwy::ChosenTarget chosen;
  chosen.Update(instruction_set_from_name(instruction_set, HWY_TARGETS));
  return chosen.GetIndex();
}

}  // namespace

void rms_norm_cpu(const RmsNormForward& args, int num_threads) {
  run_forward(HWY_DYNAMIC_DISPATCH(forward), args, num_threads);
}
void rms_norm_backward_cpu(const RmsNormBackward& args, int num_threads) {
  run_backward(HWY_DYNAMIC_DISPATCH(backward), HWY_DYNAMIC_DISPATCH(backward_blocks),
               HWY_DYNAMIC_DISPATCH(sum_columns), args, num_threads);
}

std::vector<std::string> pointwise_instruction_sets() {
  return usable_instruction_sets(HWY_TARGETS);
}
void rms_norm_cpu_on(const std::string& instruction_set, const RmsNormForward& args, int num_threads) {
  run_forward(HWY_DISPATCH_TABLE(forward)[index_of(instruction_set)], args, num_threads);
}
void rms_norm_backward_cpu_on(const std::string& instruction_set, const RmsNormBackward& args,
                              int num_threads) {
  const std::size_t index = index_of(instruction_set);
  run_backward(HWY_DISPATCH_TABLE(backward)[index], HWY_DISPATCH_TABLE(backward_blocks)[index],
               HWY_DISPATCH_TABLE(sum_columns)[index], args, num_threads);
}

}  // namespace assay::kernels::llama

#endif  // HWY_ONCE
