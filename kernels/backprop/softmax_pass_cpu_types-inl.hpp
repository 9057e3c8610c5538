// SPDX-License-Identifier: Apache-2.0
// f16, bf16 and f32 rows as vectors of f32, for every instruction set. Loads are exact, stores round to
// nearest even. Integer arithmetic throughout: the same bits with and without conversion instructions.

// clang-format off: Highway's include guard, toggled once per target
#if defined(ASSAY_KERNELS_BACKPROP_TYPES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_BACKPROP_TYPES_INL
#undef ASSAY_KERNELS_BACKPROP_TYPES_INL
#else
#define ASSAY_KERNELS_BACKPROP_TYPES_INL
#endif
// clang-format on

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/backprop/softmax_pass.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::backprop::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Words = hn::RebindToUnsigned<Floats>;
using Halves = hn::Rebind<std::uint16_t, Words>;
using Vec = hn::Vec<Floats>;

template <LogitType kType>
using Element = std::conditional_t<kType == LogitType::kFloat32, float, std::uint16_t>;

template <LogitType kType>
HWY_INLINE Vec load(const Element<kType>* HWY_RESTRICT from) {
  const Floats df;
  const Words du;
  if constexpr (kType == LogitType::kFloat32) {
    return hn::LoadU(df, from);
  } else {
    const auto half = hn::PromoteTo(du, hn::LoadU(Halves(), from));
    if constexpr (kType == LogitType::kBfloat16) {
      return hn::BitCast(df, hn::ShiftLeft<16>(half));
    } else {
      const auto magnitude = hn::And(half, hn::Set(du, 0x7fffu));
      const auto sign = hn::ShiftLeft<16>(hn::Xor(half, magnitude));
      // Exponents are 112 apart. Subnormals get the exponent of 2^-14 and lose 2^-14 again: no f32 subnormal
      // is made, which would cost a hundred cycles.
      const auto rebiased = hn::Add(hn::ShiftLeft<13>(magnitude), hn::Set(du, 112u << 23));
      const auto raised = hn::BitCast(df, hn::Add(rebiased, hn::Set(du, 1u << 23)));
      const auto subnormal = hn::BitCast(du, hn::Sub(raised, hn::Set(df, 0x1p-14f)));
      const auto finite = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 0x400u)), subnormal, rebiased);
      const auto is_special = hn::Gt(magnitude, hn::Set(du, 0x7bffu));
      const auto special = hn::Or(hn::ShiftLeft<13>(magnitude), hn::Set(du, 0x7f800000u));
      return hn::BitCast(df, hn::Or(hn::IfThenElse(is_special, special, finite), sign));
    }
  }
}

/// The 16 bits of each value in the low half of its word.
template <LogitType kType>
HWY_INLINE hn::Vec<Words> narrowed(Vec value) {
  const Floats df;
  const Words du;
  const auto bits = hn::BitCast(du, value);
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffffu));
  const auto sign = hn::ShiftRight<16>(hn::Xor(bits, magnitude));
  const auto is_nan = hn::Gt(magnitude, hn::Set(du, 0x7f800000u));
  const auto one = hn::Set(du, 1u);
  if constexpr (kType == LogitType::kBfloat16) {
    const auto odd = hn::And(hn::ShiftRight<16>(magnitude), one);
    const auto carried = hn::ShiftRight<16>(hn::Add(hn::Add(magnitude, hn::Set(du, 0x7fffu)), odd));
    return hn::Or(hn::IfThenElse(is_nan, hn::Set(du, 0x7fffu), carried), sign);
  } else {
    const auto odd = hn::And(hn::ShiftRight<13>(magnitude), one);
    const auto rebiased = hn::Add(magnitude, hn::Set(du, 0xfffu - (112u << 23)));
    const auto normal = hn::ShiftRight<13>(hn::Add(rebiased, odd));
    // Below 2^-14: adding 0.5 makes the f32 adder round at 2^-24, f16's smallest step.
    const auto half = hn::Set(df, 0.5f);
    const auto subnormal =
        hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(df, magnitude), half)), hn::BitCast(du, half));
    auto result = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 0x38800000u)), subnormal, normal);
    result = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 0x477ff000u)), result, hn::Set(du, 0x7c00u));
    return hn::Or(hn::IfThenElse(is_nan, hn::Set(du, 0x7fffu), result), sign);
  }
}

template <LogitType kType>
HWY_INLINE void store(Vec value, Element<kType>* HWY_RESTRICT to) {
  if constexpr (kType == LogitType::kFloat32) {
    hn::StoreU(value, Floats(), to);
  } else {
    const hn::RebindToSigned<Floats> di;
    hn::StoreU(hn::DemoteTo(Halves(), hn::BitCast(di, narrowed<kType>(value))), Halves(), to);
  }
}

/// The first `count` elements only, fewer than a vector; the lanes behind them are 0.
template <LogitType kType>
HWY_INLINE Vec load_first(const Element<kType>* from, std::size_t count) {
  Element<kType> buffer[hn::MaxLanes(Floats())] = {};
  std::memcpy(buffer, from, count * sizeof(Element<kType>));
  return load<kType>(buffer);
}
template <LogitType kType>
HWY_INLINE void store_first(Vec value, Element<kType>* to, std::size_t count) {
  Element<kType> buffer[hn::MaxLanes(Floats())];
  store<kType>(value, buffer);
  std::memcpy(to, buffer, count * sizeof(Element<kType>));
}

}  // namespace assay::kernels::backprop::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // ASSAY_KERNELS_BACKPROP_TYPES_INL
