// SPDX-License-Identifier: Apache-2.0
// f32 to f16 and bf16 and back in integers: round to nearest, ties to even, subnormals exact, overflow to
// infinity. NaN becomes the canonical NaN that CUDA's conversions and multiplies deliver: 0x7fff, 0x7fff,
// 0x7fffffff.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace assay::reference::nf4 {

/// value / 2^bits, rounded to the nearest integer, ties to even: adds just below a half, and the rest to a
/// half when the kept part is odd, so that whatever then carries into the kept part is the rounding.
inline std::uint32_t drop_bits(std::uint32_t value, int bits) {
  const std::uint32_t odd = (value >> bits) & 1;
  return (value + (1u << (bits - 1)) - 1 + odd) >> bits;
}

inline std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return 0x7fff;
  return static_cast<std::uint16_t>(drop_bits(bits, 16));
}

inline std::uint16_t to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  if (magnitude > 0x7f800000u)
    return 0x7fff;
  if (magnitude >= 0x477ff000u)  // 65520 and above: halfway from 65504 to 65536, and its tie goes up
    return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {  // below 2^-14: a multiple of 2^-24, scaled exactly, rounded to an integer
    const float units = std::bit_cast<float>(magnitude) * 0x1p24f;
    return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(std::nearbyint(units)));
  }
  return static_cast<std::uint16_t>(sign |
                                    drop_bits(magnitude - (112u << 23), 13));  // exponent bias 127 to 15
}

inline std::uint32_t to_f32(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffffffu : bits;
}

inline float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

inline float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u)
    return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude < 0x400u) {
    const float value = static_cast<float>(magnitude) * 0x1p-24f;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
}

}  // namespace assay::reference::nf4
