// SPDX-License-Identifier: Apache-2.0
#include "kernels/common/sha256.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace assay::kernels {
namespace {

using State = std::array<std::uint32_t, 8>;

/// The first 32 bits behind the point of the `count` first primes' square or cube roots, as the standard
/// defines them.
template <std::size_t kCount>
std::array<std::uint32_t, kCount> fractions(long double (*root)(long double)) {
  std::array<std::uint32_t, kCount> bits{};
  std::size_t found = 0;
  for (int n = 2; found < kCount; ++n) {
    bool prime = true;
    for (int d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    if (prime) {
      const long double x = root(n);
      bits[found++] = static_cast<std::uint32_t>((x - std::floor(x)) * 4294967296.0L);
    }
  }
  return bits;
}

void compress(State& state, const unsigned char* block) {
  static const auto kRound = fractions<64>([](long double x) { return std::cbrt(x); });
  std::array<std::uint32_t, 64> w{};
  for (std::size_t i = 0; i < 16; ++i)
    w[i] = std::uint32_t{block[4 * i]} << 24 | std::uint32_t{block[4 * i + 1]} << 16 |
           std::uint32_t{block[4 * i + 2]} << 8 | block[4 * i + 3];
  for (std::size_t i = 16; i < 64; ++i) {
    const std::uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
           (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint32_t t1 =
        h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
    const std::uint32_t t2 =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const State add = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < 8; ++i) state[i] += add[i];
}

}  // namespace

std::string sha256(std::string_view bytes) {
  State state = fractions<8>([](long double x) { return std::sqrt(x); });
  std::string padded(bytes.substr(bytes.size() / 64 * 64));
  const std::uint64_t bits = bytes.size() * 8;
  padded += '\x80';
  padded.append((120 - padded.size() % 64) % 64, '\0');
  for (int shift = 56; shift >= 0; shift -= 8) padded += static_cast<char>(bits >> shift);
  const auto feed = [&](std::string_view blocks) {
    for (std::size_t at = 0; at + 64 <= blocks.size(); at += 64)
      compress(state, reinterpret_cast<const unsigned char*>(blocks.data() + at));
  };
  feed(bytes.substr(0, bytes.size() / 64 * 64));
  feed(padded);
  std::string text;
  for (const std::uint32_t word : state)
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
  return text;
}

}  // namespace assay::kernels
