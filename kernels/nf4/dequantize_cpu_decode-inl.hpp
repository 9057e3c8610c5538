// SPDX-License-Identifier: Apache-2.0
// How one instruction set turns packed codes into values. Included once per target by dequantize_cpu.cpp.
//
// A block has only 16 different values, so multiply and rounding happen 16 times a block, not once a weight:
// set_scale() makes the block's table of finished output values, step() only looks up. Where the lookup lives
// decides the rest:
//   AVX-512     the table is one register; a permute over it looks up 32 weights at once (f32: 16)
//   otherwise   the table is cut into byte planes of 16 bytes; a byte shuffle looks up in each, and the bytes
//               of a value are interleaved again
//   no vectors  an array
// All make the same bits: fl(code * scale), one rounding to the output type, NaN canonical (0x7fff, 0x7fff,
// 0x7fffffff, what CUDA's conversions deliver).

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

/// f32 lanes rounded to kType: f32 fills the 32-bit lane, f16 and bf16 its upper half (the lower one is
/// anything).
template <ScalarType kType, class DF, class VF = hn::Vec<DF>>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<DF>> rounded(DF df, VF value) {
  const hn::RebindToUnsigned<DF> du;
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(value));
  const auto bits = hn::BitCast(du, value);
  const auto one = hn::Set(du, 1u);
  if constexpr (kType == ScalarType::kFloat32) {
    return hn::IfThenElse(is_nan, hn::Set(du, 0x7fffffffu), bits);
  } else if constexpr (kType == ScalarType::kBfloat16) {
    const auto odd = hn::And(hn::ShiftRight<16>(bits), one);
    const auto carried = hn::Add(hn::Add(bits, hn::Set(du, 0x7fffu)), odd);
    return hn::IfThenElse(is_nan, hn::Set(du, 0x7fff0000u), carried);
  } else {
    const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffffu));
    // Normal: rebias the exponent from 127 to 15, then drop 13 bits to nearest even.
    const auto odd = hn::And(hn::ShiftRight<13>(magnitude), one);
    const auto rebiased = hn::Add(magnitude, hn::Set(du, 0xfffu - (112u << 23)));
    const auto normal = hn::ShiftRight<13>(hn::Add(rebiased, odd));
    // Subnormal, below 2^-14: adding 0.5 makes the f32 adder round at 2^-24, f16's smallest step.
    const auto half = hn::Set(df, 0.5f);
    const auto added = hn::BitCast(du, hn::Add(hn::BitCast(df, magnitude), half));
    const auto subnormal = hn::Sub(added, hn::BitCast(du, half));
    const auto is_subnormal = hn::Lt(hn::BitCast(df, magnitude), hn::Set(df, 0x1p-14f));
    const auto is_overflow = hn::Ge(hn::BitCast(df, magnitude), hn::Set(df, 65520.0f));
    auto result = hn::IfThenElse(hn::RebindMask(du, is_subnormal), subnormal, normal);
    result = hn::IfThenElse(hn::RebindMask(du, is_overflow), hn::Set(du, 0x7c00u), result);
    result = hn::Or(hn::ShiftLeft<16>(result), hn::And(bits, hn::Set(du, 0x80000000u)));
    return hn::IfThenElse(is_nan, hn::Set(du, 0x7fff0000u), result);
  }
}

/// Rounded products of the 16 codes and a scale.
template <ScalarType kType>
HWY_INLINE void rounded_products(const float* HWY_RESTRICT code, float scale,
                                 std::uint32_t* HWY_RESTRICT words) {
  const hn::CappedTag<float, 16> df;
  const hn::RebindToUnsigned<decltype(df)> du;
  const auto factor = hn::Set(df, scale);
  for (std::size_t i = 0; i < 16; i += hn::Lanes(df))
    hn::Store(rounded<kType>(df, hn::Mul(hn::LoadU(df, code + i), factor)), du, words + i);
}

#if HWY_TARGET == HWY_SCALAR

template <ScalarType kType>
class Decoder {
 public:
  static constexpr int kWeights = 2;
  explicit Decoder(const float* code) : code_(code) {}
  void set_scale(float scale) { rounded_products<kType>(code_, scale, table_); }
  void step(const std::uint8_t* HWY_RESTRICT packed, Storage<kType>* HWY_RESTRICT out) const {
    constexpr int kShift = 32 - 8 * static_cast<int>(sizeof(Storage<kType>));
    out[0] = static_cast<Storage<kType>>(table_[*packed >> 4] >> kShift);
    out[1] = static_cast<Storage<kType>>(table_[*packed & 15] >> kShift);
  }

 private:
  const float* code_;
  std::uint32_t table_[16];
};

#elif HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86

/// One register of table, one permute a step.
template <ScalarType kType>
class Decoder {
  static constexpr hn::ScalableTag<float> kFloats{};
  static constexpr hn::ScalableTag<std::uint32_t> kWords{};

 public:
  static constexpr int kWeights = kType == ScalarType::kFloat32 ? 16 : 32;

  explicit Decoder(const float* code) : code_(hn::LoadU(kFloats, code)), table_(hn::Zero(kWords)) {}

  HWY_INLINE void set_scale(float scale) {
    table_ = rounded<kType>(kFloats, hn::Mul(code_, hn::Set(kFloats, scale)));
  }

  HWY_INLINE void step(const std::uint8_t* HWY_RESTRICT packed, Storage<kType>* HWY_RESTRICT out) const {
    if constexpr (kType == ScalarType::kFloat32) {
      const hn::ScalableTag<std::uint64_t> wide;
      const auto byte = hn::Vec<decltype(wide)>{
          _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed)))};
      // Of 16 words the permute picks one by 4 bits.
      const auto index = hn::Or(hn::ShiftRight<4>(byte), hn::ShiftLeft<32>(byte));
      hn::StoreU(hn::Vec<decltype(kWords)>{_mm512_permutexvar_epi32(index.raw, table_.raw)}, kWords, out);
    } else {
      const hn::Rebind<std::uint8_t, decltype(kWords)> narrow;
      const auto byte = hn::PromoteTo(kWords, hn::LoadU(narrow, packed));
      // Of 32 halves the permute picks one by 5 bits: 2c + 1 is the upper half of word c.
      const auto index =
          hn::Or3(hn::ShiftRight<3>(byte), hn::ShiftLeft<17>(byte), hn::Set(kWords, 0x00010001u));
      hn::StoreU(hn::Vec<decltype(kWords)>{_mm512_permutexvar_epi16(index.raw, table_.raw)}, kWords,
                 reinterpret_cast<std::uint32_t*>(out));
    }
  }

 private:
  hn::Vec<decltype(kFloats)> code_;
  hn::Vec<decltype(kWords)> table_;
};

#else

/// Half a vector of bytes: in every lane of a 256-bit one, below zeros in a 128-bit one.
template <class D>
HWY_INLINE hn::Vec<D> load_half(D d, const std::uint8_t* HWY_RESTRICT bytes) {
  if constexpr (hn::MaxLanes(d) == 32)
    return hn::LoadDup128(d, bytes);
  else
    return hn::ZeroExtendVector(d, hn::LoadU(hn::Half<D>(), bytes));
}

template <class D>
HWY_INLINE hn::Vec<D> to_all_lanes(D d, hn::Vec<hn::Full128<std::uint8_t>> lane) {
  if constexpr (hn::MaxLanes(d) == 32)
    return hn::Combine(d, lane, lane);
  else
    return lane;
}

/// Byte planes: plane s holds byte s of the 16 values.
template <ScalarType kType>
class PlaneDecoder {
  static constexpr int kSize = static_cast<int>(sizeof(Storage<kType>));
  static constexpr hn::CappedTag<std::uint8_t, 32> kBytes{};
  static constexpr hn::Repartition<std::uint16_t, decltype(kBytes)> kPairs{};
  static constexpr int kLanes = static_cast<int>(hn::MaxLanes(kBytes));
  static constexpr int kPerLane = 16 / kSize;  // values in a 128-bit lane of output
  using Vec = hn::Vec<decltype(kBytes)>;

 public:
  static constexpr int kWeights = kLanes;

  explicit PlaneDecoder(const float* code) : code_(code), spread_(hn::LoadU(kBytes, spread().data())) {}

  HWY_INLINE void set_scale(float scale) {
    alignas(64) std::uint32_t words[16];
    rounded_products<kType>(code_, scale, words);
    // Transpose 16 words of 4 bytes into 4 planes of 16 bytes; a 16-bit value has the upper two.
    const hn::Full128<std::uint8_t> d8;
    const hn::Full128<std::uint32_t> d32;
    const hn::Full128<std::uint64_t> d64;
    alignas(16) static constexpr std::uint8_t kGather[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                             2, 6, 10, 14, 3, 7, 11, 15};
    const auto quad = [&](int i) {
      const auto four = hn::BitCast(d8, hn::Load(d32, words + 4 * i));
      return hn::BitCast(d32, hn::TableLookupBytes(four, hn::Load(d8, kGather)));
    };
    const auto q0 = quad(0), q1 = quad(1), q2 = quad(2), q3 = quad(3);
    const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d32, q0, q1));
    const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d32, q2, q3));
    plane_[kSize - 2] = to_all_lanes(kBytes, hn::BitCast(d8, hn::InterleaveLower(d64, high01, high23)));
    plane_[kSize - 1] = to_all_lanes(kBytes, hn::BitCast(d8, hn::InterleaveUpper(d64, high01, high23)));
    if constexpr (kSize == 4) {
      const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d32, q0, q1));
      const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d32, q2, q3));
      plane_[0] = to_all_lanes(kBytes, hn::BitCast(d8, hn::InterleaveLower(d64, low01, low23)));
      plane_[1] = to_all_lanes(kBytes, hn::BitCast(d8, hn::InterleaveUpper(d64, low01, low23)));
    }
  }

  HWY_INLINE void step(const std::uint8_t* HWY_RESTRICT packed, Storage<kType>* HWY_RESTRICT out) const {
    const auto pairs =
        hn::BitCast(kPairs, hn::TableLookupBytes(load_half(kBytes, packed), spread_));  // every byte twice
    const auto first = hn::And(hn::ShiftRight<4>(pairs), hn::Set(kPairs, 0x000f));
    const auto nibbles = hn::BitCast(kBytes, hn::Or(first, hn::And(pairs, hn::Set(kPairs, 0x0f00))));
    const auto b0 = hn::TableLookupBytes(plane_[0], nibbles);
    const auto b1 = hn::TableLookupBytes(plane_[1], nibbles);
    const auto low = hn::BitCast(kPairs, hn::InterleaveLower(kBytes, b0, b1));
    const auto high = hn::BitCast(kPairs, hn::InterleaveUpper(kBytes, b0, b1));
    auto* halves = reinterpret_cast<std::uint16_t*>(out);
    if constexpr (kSize == 2) {
      store(halves, 0, low);
      store(halves, 1, high);
    } else {
      const auto b2 = hn::TableLookupBytes(plane_[2], nibbles);
      const auto b3 = hn::TableLookupBytes(plane_[3], nibbles);
      const auto low2 = hn::BitCast(kPairs, hn::InterleaveLower(kBytes, b2, b3));
      const auto high2 = hn::BitCast(kPairs, hn::InterleaveUpper(kBytes, b2, b3));
      store(halves, 0, hn::InterleaveLower(kPairs, low, low2));
      store(halves, 1, hn::InterleaveUpper(kPairs, low, low2));
      store(halves, 2, hn::InterleaveLower(kPairs, high, high2));
      store(halves, 3, hn::InterleaveUpper(kPairs, high, high2));
    }
  }

 private:
  /// Which packed byte each nibble comes from, so that interleaving within 128-bit lanes yields output order.
  static constexpr std::array<std::uint8_t, kLanes> spread() {
    std::array<std::uint8_t, kLanes> from{};
    for (int i = 0; i < kLanes; ++i) {
      const int lane = i / 16, vector = i % 16 / kPerLane, element = i % kPerLane;
      from[static_cast<std::size_t>(i)] =
          static_cast<std::uint8_t>((vector * (kLanes / kSize) + lane * kPerLane + element) / 2);
    }
    return from;
  }

  static HWY_INLINE void store(std::uint16_t* out, int vector, hn::Vec<decltype(kPairs)> values) {
    hn::StoreU(values, kPairs, out + vector * (kLanes / 2));
  }

  const float* code_;
  Vec spread_;
  Vec plane_[kSize];
};

template <ScalarType kType>
using Decoder = PlaneDecoder<kType>;

#endif

}  // namespace assay::kernels::nf4::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
