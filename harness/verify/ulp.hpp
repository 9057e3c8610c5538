// SPDX-License-Identifier: Apache-2.0
// Floating formats as bits: exact decoding, correct rounding from f64 (ties to even, no double rounding) and
// distance in units of the last place. Formats are IEEE 754 binary16/32/64 and bfloat16; nothing here depends
// on the rounding mode of the hardware except `rint`, which the default mode makes ties-to-even.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace assay::harness {

template <class BitsType, int MantissaBits, int ExponentBias>
struct FloatFormat {
  using Bits = BitsType;
  static constexpr int kMantissa = MantissaBits;
  static constexpr int kBias = ExponentBias;
  static constexpr int kMinExponent = 1 - ExponentBias;  ///< of normal numbers
  static constexpr Bits kSign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
  static constexpr Bits kInfinity = static_cast<Bits>(Bits(2 * ExponentBias + 1) << MantissaBits);
  static constexpr Bits kNan = static_cast<Bits>(kInfinity | Bits(Bits{1} << (MantissaBits - 1)));
};
using Float16Format = FloatFormat<std::uint16_t, 10, 15>;
using Bfloat16Format = FloatFormat<std::uint16_t, 7, 127>;
using Float32Format = FloatFormat<std::uint32_t, 23, 127>;
using Float64Format = FloatFormat<std::uint64_t, 52, 1023>;

template <class F>
typename F::Bits magnitude(typename F::Bits bits) {
  return static_cast<typename F::Bits>(bits & static_cast<typename F::Bits>(~F::kSign));
}
template <class F>
bool is_nan(typename F::Bits bits) {
  return magnitude<F>(bits) > F::kInfinity;
}
template <class F>
bool is_finite(typename F::Bits bits) {
  return magnitude<F>(bits) < F::kInfinity;
}

/// Exact. Shifting the magnitude into an f64 leaves the exponent short by the difference of the biases.
template <class F>
double decode(typename F::Bits bits) {
  if (!is_finite<F>(bits)) {
    const double infinity = std::numeric_limits<double>::infinity();
    return is_nan<F>(bits)   ? std::numeric_limits<double>::quiet_NaN()
           : bits & F::kSign ? -infinity
                             : infinity;
  }
  constexpr double kRebias = std::bit_cast<double>(std::uint64_t(1023 + (1023 - F::kBias)) << 52);
  const std::uint64_t shifted = std::uint64_t{magnitude<F>(bits)} << (52 - F::kMantissa);
  const double value = std::bit_cast<double>(shifted) * kRebias;
  return bits & F::kSign ? -value : value;
}
template <>
inline double decode<Float64Format>(std::uint64_t bits) {
  return std::bit_cast<double>(bits);
}
template <>
inline double decode<Float32Format>(std::uint32_t bits) {
  return static_cast<double>(std::bit_cast<float>(bits));
}
template <>
inline double decode<Bfloat16Format>(std::uint16_t bits) {
  return static_cast<double>(std::bit_cast<float>(std::uint32_t{bits} << 16));
}

/// Correctly rounded, ties to even; overflow gives infinity, NaN gives the quiet NaN.
template <class F>
typename F::Bits encode(double value) {
  using Bits = typename F::Bits;
  constexpr int kShift = 52 - F::kMantissa;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(value);
  const std::uint64_t positive = bits & ~Float64Format::kSign;
  const Bits sign = bits >> 63 ? F::kSign : Bits{0};
  if (positive > Float64Format::kInfinity) {
    return F::kNan;
  }
  if (positive <
      (std::uint64_t(F::kMinExponent + 1023) << 52)) {  // subnormal, zero, or rounds up to the least normal
    constexpr double kScale =
        std::bit_cast<double>(std::uint64_t(F::kMantissa - F::kMinExponent + 1023) << 52);
    return static_cast<Bits>(sign | static_cast<Bits>(std::rint(std::bit_cast<double>(positive) * kScale)));
  }
  const std::uint64_t half = (std::uint64_t{1} << (kShift - 1)) - 1 + ((positive >> kShift) & 1);
  const std::uint64_t rounded =
      ((positive + half) >> kShift) - (std::uint64_t(1023 - F::kBias) << F::kMantissa);
  return static_cast<Bits>(sign | static_cast<Bits>(std::min<std::uint64_t>(rounded, F::kInfinity)));
}
template <>
inline std::uint64_t encode<Float64Format>(double value) {
  return std::isnan(value) ? Float64Format::kNan : std::bit_cast<std::uint64_t>(value);
}

/// Steps between two numbers, counting through both zeros as one; infinity is one step past the largest
/// finite number. Neither may be NaN. Saturates at the largest int64.
template <class F>
std::int64_t ulp_distance(typename F::Bits a, typename F::Bits b) {
  const std::uint64_t ma = magnitude<F>(a), mb = magnitude<F>(b);
  const bool same_sign = ((a ^ b) & F::kSign) == 0;
  const std::uint64_t distance = !same_sign ? ma + mb : ma > mb ? ma - mb : mb - ma;
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(distance, std::numeric_limits<std::int64_t>::max()));
}

/// Spacing of the format's numbers around `value` (finite); the least subnormal around zero.
template <class F>
double ulp_size(double value) {
  const auto field = static_cast<int>((std::bit_cast<std::uint64_t>(value) & ~Float64Format::kSign) >> 52);
  const int exponent = std::clamp(field - 1023, F::kMinExponent, F::kBias) - F::kMantissa;
  if (exponent < -1022) {
    return std::ldexp(1.0, exponent);
  }
  return std::bit_cast<double>(std::uint64_t(exponent + 1023) << 52);
}

/// Buckets of Parity::ulp_histogram: [0], [1], [2], [3..4], [5..8], …, [16385..32768], everything above.
inline constexpr int kUlpBuckets = 18;
inline int ulp_bucket(std::int64_t distance) {
  if (distance == 0) {
    return 0;
  }
  return std::min<int>(1 + std::bit_width(static_cast<std::uint64_t>(distance - 1)), kUlpBuckets - 1);
}

}  // namespace assay::harness
