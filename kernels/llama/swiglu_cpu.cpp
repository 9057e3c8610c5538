// SPDX-License-Identifier: Apache-2.0
// SwiGLU on the CPU: the formulas of a piece of a row, compiled for every instruction set, and the work
// sharing.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/llama/swiglu_cpu.cpp"
// clang-format off: once per target, in this order
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/llama/cpu_rows-inl.hpp"
// clang-format on

#include "kernels/llama/swiglu.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::llama::HWY_NAMESPACE {

/// Columns handed out at a time; ranges count pieces of rows.
inline constexpr std::int64_t kPieceColumns = 1 << 13;

struct Sigmoid {
  Vec value, complement;
};
/// As on the GPU: both from e = exp(−|g|). Highway's Exp makes 0 of NaN, so NaN is put back.
HWY_INLINE Sigmoid sigmoid(Vec g) {
  const Floats df;
  const auto one = hn::Set(df, 1.0f);
  const auto e = hn::Exp(df, hn::Neg(hn::Abs(g)));
  const auto near_one = hn::Div(one, hn::Add(one, e)), far = hn::Mul(e, near_one);
  const auto negative = hn::Lt(g, hn::Zero(df)), is_nan = hn::IsNaN(g);
  return {hn::IfThenElse(is_nan, g, hn::IfThenElse(negative, far, near_one)),
          hn::IfThenElse(is_nan, g, hn::IfThenElse(negative, near_one, far))};
}

/// Where a piece begins in a matrix.
template <class Value, class Rows>
HWY_INLINE Value* at(const Rows& rows, std::int64_t row, std::int64_t column) {
  return rows.data == nullptr ? nullptr : static_cast<Value*>(rows.data) + row * rows.stride + column;
}

/// body(row, column, count) for pieces [first, last) of all rows.
template <class Args, class Body>
HWY_INLINE void for_each_piece(const Args& args, std::int64_t first, std::int64_t last, Body body) {
  const std::int64_t pieces = (args.columns + kPieceColumns - 1) / kPieceColumns;
  for (std::int64_t piece = first; piece < last; ++piece) {
    const std::int64_t column = piece % pieces * kPieceColumns;
    body(piece / pieces, column, static_cast<std::size_t>(std::min(kPieceColumns, args.columns - column)));
  }
}

template <ElementType kType>
void forward_pieces(const SwigluForward& args, std::int64_t first, std::int64_t last) {
  using T = Element<kType>;
  for_each_piece(args, first, last, [&](std::int64_t row, std::int64_t column, std::size_t count) HWY_ATTR {
    const T *const gate = at<const T>(args.gate, row, column), *const up = at<const T>(args.up, row, column);
    T* const y = at<T>(args.y, row, column);
    for_each_vector(count, [&](std::size_t i, std::size_t n) HWY_ATTR {
      const auto g = load<kType>(gate + i, n);
      store<kType>(hn::Mul(hn::Mul(g, sigmoid(g).value), load<kType>(up + i, n)), y + i, n);
    });
  });
}

template <ElementType kType>
void backward_pieces(const SwigluBackward& args, std::int64_t first, std::int64_t last) {
  using T = Element<kType>;
  for_each_piece(args, first, last, [&](std::int64_t row, std::int64_t column, std::size_t count) HWY_ATTR {
    const T *const gate = at<const T>(args.gate, row, column), *const up = at<const T>(args.up, row, column),
                   *const dy = at<const T>(args.dy, row, column);
    T *const dgate = at<T>(args.dgate, row, column), *const dup = at<T>(args.dup, row, column),
             *const y = at<T>(args.y, row, column);
    for_each_vector(count, [&](std::size_t i, std::size_t n) HWY_ATTR {
      const auto g = load<kType>(gate + i, n), u = load<kType>(up + i, n), d = load<kType>(dy + i, n);
      const Sigmoid s = sigmoid(g);
      const auto silu = hn::Mul(g, s.value);
      const auto slope = hn::Mul(s.value, hn::MulAdd(g, s.complement, hn::Set(Floats(), 1.0f)));
      store<kType>(hn::Mul(hn::Mul(d, u), slope), dgate + i, n);
      store<kType>(hn::Mul(d, silu), dup + i, n);
      if (y != nullptr)
        store<kType>(hn::Mul(silu, u), y + i, n);
    });
  });
}

void forward(const SwigluForward& args, std::int64_t first, std::int64_t last) {
  ASSAY_LLAMA_OF_EVERY_TYPE(args.type, forward_pieces)
}
void backward(const SwigluBackward& args, std::int64_t first, std::int64_t last) {
  ASSAY_LLAMA_OF_EVERY_TYPE(args.type, backward_pieces)
}

}  // namespace assay::kernels::llama::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include "kernels/common/instruction_sets.hpp"
#include "kernels/common/parallel_for.hpp"
#include "kernels/llama/check.hpp"
#include "kernels/llama/pointwise_cpu.hpp"

namespace assay::kernels::llama {
HWY_EXPORT(forward);
HWY_EXPORT(backward);
namespace {

constexpr std::int64_t kElementsPerRange = 1 << 15;

template <class Function, class Args>
void run(Function function, const Args& given, int num_threads) {
  constexpr std::int64_t kColumns = HWY_STATIC_DISPATCH(kPieceColumns);
  check(given);
  if (given.rows == 0 || given.columns == 0)
    return;
  const Args args = with_strides(given);
  const std::int64_t pieces = (args.columns + kColumns - 1) / kColumns;
  const std::int64_t at_a_time =
      std::max<std::int64_t>(1, kElementsPerRange / std::min(kColumns, args.columns));
  parallel_for(args.rows * pieces, at_a_time, num_threads,
               [&](std::int64_t first, std::int64_t last) { function(args, first, last); });
}

std::size_t index_of(const std::string& instruction_set) {
  hwy::ChosenTarget chosen;
  chosen.Update(instruction_set_from_name(instruction_set, HWY_TARGETS));
  return chosen.GetIndex();
}

}  // namespace

void swiglu_cpu(const SwigluForward& args, int num_threads) {
  run(HWY_DYNAMIC_DISPATCH(forward), args, num_threads);
}
void swiglu_backward_cpu(const SwigluBackward& args, int num_threads) {
  run(HWY_DYNAMIC_DISPATCH(backward), args, num_threads);
}
void swiglu_cpu_on(const std::string& instruction_set, const SwigluForward& args, int num_threads) {
  run(HWY_DISPATCH_TABLE(forward)[index_of(instruction_set)], args, num_threads);
}
void swiglu_backward_cpu_on(const std::string& instruction_set, const SwigluBackward& args, int num_threads) {
  run(HWY_DISPATCH_TABLE(backward)[index_of(instruction_set)], args, num_threads);
}

}  // namespace assay::kernels::llama

#endif  // HWY_ONCE
