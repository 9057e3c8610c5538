// SPDX-License-Identifier: Apache-2.0
// Rows of f16, bf16 and f32 as vectors of f32 with the row's last, shorter vector, for every instruction set.

// clang-format off: Highway's include guard, toggled once per target
#if defined(ASSAY_KERNELS_LLAMA_CPU_ROWS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_LLAMA_CPU_ROWS_INL
#undef ASSAY_KERNELS_LLAMA_CPU_ROWS_INL
#else
#define ASSAY_KERNELS_LLAMA_CPU_ROWS_INL
#endif
// clang-format on

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>

#include "kernels/backprop/softmax_pass_cpu_types-inl.hpp"
#include "kernels/llama/element_type.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::llama::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace words = backprop::HWY_NAMESPACE;

using Floats = words::Floats;
using Vec = words::Vec;

constexpr backprop::LogitType stored_as(ElementType type) {
  return type == ElementType::kFloat16    ? backprop::LogitType::kFloat16
         : type == ElementType::kBfloat16 ? backprop::LogitType::kBfloat16
                                          : backprop::LogitType::kFloat32;
}
template <ElementType kType>
using Element = words::Element<stored_as(kType)>;

/// `count` elements, at most a vector; lanes behind them are 0.
template <ElementType kType>
HWY_INLINE Vec load(const Element<kType>* from, std::size_t count) {
  if (count == hn::Lanes(Floats()))
    return words::load<stored_as(kType)>(from);
  return words::load_first<stored_as(kType)>(from, count);
}
template <ElementType kType>
HWY_INLINE void store(Vec value, Element<kType>* to, std::size_t count) {
  if (count == hn::Lanes(Floats()))
    return words::store<stored_as(kType)>(value, to);
  words::store_first<stored_as(kType)>(value, to, count);
}
HWY_INLINE Vec load(const float* from, std::size_t count) {
  return load<ElementType::kFloat32>(from, count);
}
HWY_INLINE void store(Vec value, float* to, std::size_t count) {
  store<ElementType::kFloat32>(value, to, count);
}

/// body(i, n) for vectors i … i + n − 1 that cover [0, count): n is a vector's length but for the last.
template <class Body>
HWY_INLINE void for_each_vector(std::size_t count, Body body) {
  const std::size_t lanes = hn::Lanes(Floats()), whole = count - count % lanes;
  for (std::size_t i = 0; i < whole; i += lanes) body(i, lanes);
  if (whole < count)
    body(whole, count - whole);
}

/// Σ of what vector_at(i, n) gives, whose lanes from n on must be 0: f32 over short blocks, f64 over blocks.
template <class VectorAt>
HWY_INLINE double sum_over_row(std::size_t count, VectorAt vector_at) {
  const Floats df;
  const std::size_t block = 16 * hn::Lanes(df);
  double total = 0.0;
  for (std::size_t begin = 0; begin < count; begin += block) {
    auto sum = hn::Zero(df);
    for_each_vector(std::min(block, count - begin), [&](std::size_t i, std::size_t n) HWY_ATTR {
      sum = hn::Add(sum, vector_at(begin + i, n));
    });
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(df, sum)));
  }
  return total;
}

/// run<kType>() of the type.
#define ASSAY_LLAMA_OF_EVERY_TYPE(type, run)                 \
  switch (type) {                                            \
    case ElementType::kFloat16:                              \
      return run<ElementType::kFloat16>(args, first, last);  \
    case ElementType::kBfloat16:                             \
      return run<ElementType::kBfloat16>(args, first, last); \
    case ElementType::kFloat32:                              \
      return run<ElementType::kFloat32>(args, first, last);  \
  }

}  // namespace assay::kernels::llama::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // ASSAY_KERNELS_LLAMA_CPU_ROWS_INL
