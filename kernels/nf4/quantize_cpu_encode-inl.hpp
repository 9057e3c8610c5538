// SPDX-License-Identifier: Apache-2.0
// One block of weights to 4-bit codes on one instruction set. Included once per target by quantize_cpu.cpp.
//
// The semantics are bitsandbytes 0.50's on CPU tensors (backends/default/ops.py quantize_4bit), of which
// these matter to the bit: absmax is NaN if any weight is; a whole block multiplies by 1 / max(absmax,
// 1e-38), a shorter one divides, and stores the 1e-38 too; the code is the number of midpoints that are not
// >= x, so NaN gets the last one.

// clang-format off: Highway's include guard, toggled once per target
#if defined(ASSAY_KERNELS_NF4_ENCODE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_NF4_ENCODE_INL
#undef ASSAY_KERNELS_NF4_ENCODE_INL
#else
#define ASSAY_KERNELS_NF4_ENCODE_INL
#endif
// clang-format on

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/nf4/format.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::nf4::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Weights encoded at a time; every block size is a multiple.
constexpr std::int64_t kGroup = 32;
constexpr float kLeastDivisor = 1e-38f;

/// The decision bounds between ascending values, and which code each place among them has.
struct Bounds {
  alignas(16) std::uint8_t code_at[16];
  alignas(64) float midpoint[16];  // 15, and infinity
  std::uint8_t place_of_zero;
};

template <ScalarType kType, class DF>
HWY_INLINE hn::Vec<DF> load_widened(DF df, const void* in, std::int64_t i) {
  if constexpr (kType == ScalarType::kFloat32) {
    return hn::LoadU(df, static_cast<const float*>(in) + i);
  } else {
    const hn::RebindToUnsigned<DF> du;
    const hn::Rebind<std::uint16_t, DF> d16;
    const auto bits = hn::PromoteTo(du, hn::LoadU(d16, static_cast<const std::uint16_t*>(in) + i));
    if constexpr (kType == ScalarType::kBfloat16)
      return hn::BitCast(df, hn::ShiftLeft<16>(bits));
    // f16: shifted into place its exponent is 112 too small, which the multiply mends, subnormals included.
    // Infinity and NaN get f32's exponent instead.
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000u)));
    const auto shifted = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7fffu)));
    const auto finite = hn::BitCast(du, hn::Mul(hn::BitCast(df, shifted), hn::Set(df, 0x1p112f)));
    const auto special = hn::Or(shifted, hn::Set(du, 0x7f800000u));
    const auto is_special = hn::Ge(hn::BitCast(df, shifted), hn::BitCast(df, hn::Set(du, 0x7c00u << 13)));
    return hn::BitCast(df, hn::Or(sign, hn::IfThenElse(hn::RebindMask(du, is_special), special, finite)));
  }
}

/// Weights [begin, begin + count) as f32, zeros up to the next multiple of kGroup; returns the largest
/// magnitude, which is a NaN if there is one: as integers magnitudes order like their values, with NaN above
/// infinity.
template <ScalarType kType>
HWY_INLINE float widen_block(const void* in, std::int64_t begin, std::int64_t count,
                             float* HWY_RESTRICT values) {
  const hn::CappedTag<float, 16> df;
  const hn::RebindToSigned<decltype(df)> di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(df));
  const auto magnitude_bits = hn::Set(di, 0x7fffffff);
  auto largest = hn::Zero(di);
  const std::int64_t whole = count - count % kGroup;
  for (std::int64_t i = 0; i < whole; i += lanes) {
    const auto value = load_widened<kType>(df, in, begin + i);
    largest = hn::Max(largest, hn::And(hn::BitCast(di, value), magnitude_bits));
    hn::Store(value, df, values + i);
  }
  if (whole < count) {
    constexpr std::size_t kSize = kType == ScalarType::kFloat32 ? 4 : 2;
    alignas(64) std::uint8_t rest[kGroup * kSize] = {};
    std::memcpy(rest, static_cast<const std::uint8_t*>(in) + static_cast<std::size_t>(begin + whole) * kSize,
                static_cast<std::size_t>(count - whole) * kSize);
    for (std::int64_t i = 0; i < kGroup; i += lanes) {
      const auto value = load_widened<kType>(df, rest, i);
      largest = hn::Max(largest, hn::And(hn::BitCast(di, value), magnitude_bits));
      hn::Store(value, df, values + whole + i);
    }
  }
  return hn::GetLane(hn::BitCast(df, hn::MaxOfLanes(di, largest)));
}

/// Places of x among the ascending codes: the number of midpoints that are not >= x.
template <class DF, class VF = hn::Vec<DF>>
HWY_INLINE hn::Vec<hn::RebindToSigned<DF>> place_of(DF df, VF x, const Bounds& bounds) {
  const hn::RebindToSigned<DF> di;
  if constexpr (hn::MaxLanes(df) == 16) {  // the midpoints are one register: halve the interval four times
    const auto midpoints = hn::Load(df, bounds.midpoint);
    auto place = hn::Zero(di);
    for (const std::int32_t half : {8, 4, 2, 1}) {
      const auto probe = hn::IndicesFromVec(df, hn::Add(place, hn::Set(di, half - 1)));
      const auto below = hn::Ge(hn::TableLookupLanes(midpoints, probe), x);
      place = hn::IfThenElse(hn::RebindMask(di, below), place, hn::Add(place, hn::Set(di, half)));
    }
    return place;
  } else {  // count down from 15
    auto place = hn::Set(di, 15);
    for (int i = 0; i < 15; ++i) {
      const auto not_below = hn::Ge(hn::Set(df, bounds.midpoint[i]), x);
      place = hn::Add(place, hn::VecFromMask(di, hn::RebindMask(di, not_below)));
    }
    return place;
  }
}

/// Places of kGroup values; a multiply by `scale`, or a division, makes x.
template <bool kDivide>
HWY_INLINE void places_of(const float* HWY_RESTRICT values, float scale, const Bounds& bounds,
                          std::uint8_t* HWY_RESTRICT places) {
  const hn::CappedTag<float, 16> df;
  const hn::Rebind<std::uint8_t, decltype(df)> d8;
  const auto factor = hn::Set(df, scale);
  for (std::int64_t i = 0; i < kGroup; i += static_cast<std::int64_t>(hn::Lanes(df))) {
    const auto value = hn::Load(df, values + i);
    const auto x = kDivide ? hn::Div(value, factor) : hn::Mul(value, factor);
    hn::Store(hn::DemoteTo(d8, place_of(df, x, bounds)), d8, places + i);
  }
}

/// kGroup places to kGroup / 2 bytes of codes, the first of a pair in the high nibble.
HWY_INLINE void pack(const std::uint8_t* HWY_RESTRICT places, const Bounds& bounds,
                     std::uint8_t* HWY_RESTRICT packed) {
#if HWY_TARGET == HWY_SCALAR
  for (std::int64_t i = 0; i < kGroup; i += 2)
    packed[i / 2] = static_cast<std::uint8_t>(bounds.code_at[places[i]] << 4 | bounds.code_at[places[i + 1]]);
#else
  const hn::Full128<std::uint8_t> d8;
  const hn::Full128<std::uint16_t> d16;
  const hn::Half<decltype(d8)> half;
  for (std::int64_t i = 0; i < kGroup; i += 16) {
    const auto codes = hn::TableLookupBytes(hn::Load(d8, bounds.code_at), hn::Load(d8, places + i));
    const auto pairs = hn::BitCast(d16, codes);  // first code in the low byte
    const auto bytes = hn::And(hn::Or(hn::ShiftLeft<4>(pairs), hn::ShiftRight<8>(pairs)), hn::Set(d16, 0xff));
    hn::StoreU(hn::DemoteTo(half, hn::BitCast(hn::RebindToSigned<decltype(d16)>(), bytes)), half,
               packed + i / 2);
  }
#endif
}

template <ScalarType kType>
void encode_block(const void* in, std::int64_t begin, std::int64_t count, std::int64_t block_size,
                  const Bounds& bounds, std::uint8_t* packed, float* absmax) {
  alignas(64) float values[4096];
  alignas(64) std::uint8_t places[kGroup];
  const float largest = widen_block<kType>(in, begin, count, values);
  const float divisor = largest < kLeastDivisor ? kLeastDivisor : largest;
  const bool shorter = count < block_size;
  *absmax = shorter ? divisor : largest;
  for (std::int64_t i = 0; i < count; i += kGroup) {
    if (shorter)
      places_of<true>(values + i, divisor, bounds, places);
    else
      places_of<false>(values + i, 1.0f / divisor, bounds, places);
    if (count - i >= kGroup) {
      pack(places, bounds, packed + i / 2);
    } else {
      places[count - i] =
          bounds.place_of_zero;  // the spare nibble of an odd count, also where 0 / absmax is NaN
      std::uint8_t bytes[kGroup / 2];
      pack(places, bounds, bytes);
      std::memcpy(packed + i / 2, bytes, static_cast<std::size_t>(count - i + 1) / 2);
    }
  }
}

}  // namespace assay::kernels::nf4::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
