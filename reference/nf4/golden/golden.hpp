// SPDX-License-Identifier: Apache-2.0
// Reading the golden file: inputs made again from their formula, bytes out of hexadecimal, digests.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "reference/nf4/golden/bitsandbytes.hpp"
#include "reference/nf4/rounding.hpp"

namespace assay::reference::nf4::golden {

template <class T>
std::vector<T> values_of(std::string_view hexadecimal) {
  const auto digit = [](char c) { return static_cast<std::uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::vector<std::uint8_t> bytes(hexadecimal.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::uint8_t>(digit(hexadecimal[2 * i]) << 4 | digit(hexadecimal[2 * i + 1]));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

/// The weights of a case as bytes of its dtype: make_golden.py has the formula.
inline std::vector<std::uint8_t> weights_of(const Case& which) {
  const std::size_t size = size_of(which.type);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(which.count) * size);
  for (std::int64_t i = 0; i < which.count; ++i) {
    const std::uint32_t h = (static_cast<std::uint32_t>(i) * 2654435761u + which.seed * 40503u) >> 8;
    float value = std::ldexp(static_cast<float>(h) / 8388608.0f - 1.0f, which.exponent);
    if (i / which.block_size == which.zero_block)
      value = 0.0f;
    const std::uint32_t bits = which.type == Scalar::kFloat16    ? to_f16(value)
                               : which.type == Scalar::kBfloat16 ? to_bf16(value)
                                                                 : std::bit_cast<std::uint32_t>(value);
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * size, &bits, size);
  }
  return bytes;
}

inline std::uint64_t fnv1a(std::span<const std::uint8_t> bytes) {
  std::uint64_t digest = 0xcbf29ce484222325u;
  for (const std::uint8_t byte : bytes) digest = (digest ^ byte) * 0x100000001b3u;
  return digest;
}

/// Digest of a case's output bytes as make_golden.py takes it: for FP4 with every -0 made +0.
inline std::uint64_t digest_of(const Case& which, Scalar type, std::vector<std::uint8_t> bytes) {
  const std::size_t size = size_of(type);
  if (which.codebook == Codebook::kFp4) {
    for (std::size_t i = 0; i < bytes.size(); i += size) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, bytes.data() + i, size);
      if (bits == (size == 2 ? 0x8000u : 0x80000000u))
        bytes[i + size - 1] = 0;
    }
  }
  return fnv1a(bytes);
}

}  // namespace assay::reference::nf4::golden
