// SPDX-License-Identifier: Apache-2.0
// How one instruction set turns packed codes into values. Included once per target by dequantize_cpu.cpp.
//
// A block has only 16 different values, so multiply and rounding happen 16 times a block, not once a weight: set_scale()
// makes the block's table of finished output values, step() only looks up. Where the lookup lives decides the rest:
//   AVX-512     the table is one register, and a register-wide permute looks up 32 (16) weights at once
//   AVX2, f32   the table is two registers, two permutes and a blend look up 8 weights
//   otherwise   the table is cut into byte planes of 16 bytes, which a byte shuffle looks up per 128-bit lane; the planes
//               of a value are interleaved again
//   no vectors  an array
// All make the same bits: fl(code * scale), one rounding to the output type, NaN canonical (0x7fff, 0x7fff, 0x7fffffff,
// what CUDA's conversions deliver).

// clang-format off: Highway's include guard, toggled once per target
#if defined(ASSAY_KERNELS_NF4_DECODE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_NF4_DECODE_INL
#undef ASSAY_KERNELS_NF4_DECODE_INL
#else
#define ASSAY_KERNELS_NF4_DECODE_INL
#endif
// clang-format on

#include <hwy/highway.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/nf4/format.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::nf4::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <ScalarType kType>
using Storage = std::conditional_t<kType == ScalarType::kFloat32, std::uint32_t, std::uint16_t>;

/// Bits of f32 lanes rounded to kType, in the low bits of 32-bit lanes.
template <ScalarType kType, class DF, class VF = hn::Vec<DF>>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<DF>> rounded_bits(DF df, VF value) {
  const hn::RebindToUnsigned<DF> du;
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(value));
  const auto bits = hn::BitCast(du, value);
  const auto one = hn::Set(du, 1u);
  if constexpr (kType == ScalarType::kFloat32) {
    return hn::IfThenElse(is_nan, hn::Set(du, 0x7fffffffu), bits);
  } else if constexpr (kType == ScalarType::kBfloat16) {
    const auto to_even = hn::Add(hn::And(hn::ShiftRight<16>(bits), one), hn::Set(du, 0x7fffu));
    return hn::IfThenElse(is_nan, hn::Set(du, 0x7fffu), hn::ShiftRight<16>(hn::Add(bits, to_even)));
  } else {
    const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffffu));
    const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000u));
    // Normal: rebias the exponent from 127 to 15, then drop 13 bits to nearest even.
    const auto to_even = hn::Add(hn::And(hn::ShiftRight<13>(magnitude), one), hn::Set(du, 0xfffu - (112u << 23)));
    const auto normal = hn::ShiftRight<13>(hn::Add(magnitude, to_even));
    // Subnormal, below 2^-14: adding 0.5 makes the f32 adder round at 2^-24, f16's smallest step.
    const auto half = hn::Set(df, 0.5f);
    const auto subnormal =
        hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(df, magnitude), half)), hn::BitCast(du, half));
    const auto is_subnormal = hn::Lt(hn::BitCast(df, magnitude), hn::Set(df, 0x1p-14f));
    const auto is_overflow = hn::Ge(hn::BitCast(df, magnitude), hn::Set(df, 65520.0f));
    auto result = hn::IfThenElse(hn::RebindMask(du, is_subnormal), subnormal, normal);
    result = hn::IfThenElse(hn::RebindMask(du, is_overflow), hn::Set(du, 0x7c00u), result);
    return hn::IfThenElse(is_nan, hn::Set(du, 0x7fffu), hn::Or(result, sign));
  }
}

/// Rounded products of the 16 codes and a scale.
template <ScalarType kType>
HWY_INLINE void rounded_products(const float* HWY_RESTRICT code, float scale, std::uint32_t* HWY_RESTRICT bits) {
  const hn::CappedTag<float, 16> df;
  const auto factor = hn::Set(df, scale);
  for (std::size_t i = 0; i < 16; i += hn::Lanes(df))
    hn::Store(rounded_bits<kType>(df, hn::Mul(hn::Load(df, code + i), factor)), hn::RebindToUnsigned<decltype(df)>(),
              bits + i);
}

#if HWY_TARGET == HWY_SCALAR

template <ScalarType kType>
class Decoder {
 public:
  static constexpr int kWeights = 2;
  explicit Decoder(const float* code) : code_(code) {}
  void set_scale(float scale) { rounded_products<kType>(code_, scale, table_); }
  void step(const std::uint8_t* HWY_RESTRICT packed, Storage<kType>* HWY_RESTRICT out) const {
    out[0] = static_cast<Storage<kType>>(table_[*packed >> 4]);
    out[1] = static_cast<Storage<kType>>(table_[*packed & 15]);
  }

 private:
  const float* code_;
  std::uint32_t table_[16];
};

#else

/// Byte planes: 16- and 32-bit values on any target with a byte shuffle.
template <ScalarType kType>
class PlaneDecoder {
  using Out = Storage<kType>;
  static constexpr std::size_t kSize = sizeof(Out);
  static constexpr hn::CappedTag<std::uint8_t, 64> kBytes{};
  static constexpr std::size_t kLanes = hn::MaxLanes(kBytes);
  using Vec = hn::Vec<decltype(kBytes)>;

 public:
  static constexpr int kWeights = static_cast<int>(kLanes);

  explicit PlaneDecoder(const float* code)
      : code_(code), nearest_(hn::Zero(kBytes)), arrange_(hn::Zero(hn::RepartitionToWide<hn::RepartitionToWide<decltype(kBytes)>>())) {}

 private:
  const float* code_;
  Vec nearest_;
  Vec arrange_;
};

#endif

}  // namespace assay::kernels::nf4::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
