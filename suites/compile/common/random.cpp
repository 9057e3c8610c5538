// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/common/random.hpp"

#include <algorithm>

#include "reference/backprop/matrix.hpp"
#include "suites/compile/common/elements.hpp"

namespace assay::suites::compile {
namespace {

/// SplitMix64 (Steele, Lea, Flood 2014) by counter.
std::uint64_t word_at(std::uint64_t stream, std::uint64_t index) {
  std::uint64_t z = stream + (index + 1) * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

/// Sum of four uniform 16-bit numbers.
double normal_at(std::uint64_t stream, std::uint64_t index) {
  const std::uint64_t w = word_at(stream, index);
  const auto sum = static_cast<double>((w & 0xffff) + (w >> 16 & 0xffff) + (w >> 32 & 0xffff) + (w >> 48));
  return (sum / 65535.0 - 2.0) * 1.7320508075688772;
}

std::uint64_t stream_of(std::string_view name, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char letter : name) hash = (hash ^ static_cast<std::uint8_t>(letter)) * 0x100000001b3ULL;
  return word_at(hash, seed);
}

void fill(const harness::TensorView& view, const std::function<double(std::int64_t)>& value) {
  constexpr std::int64_t kBlock = 1 << 16;
  const std::int64_t count = view.numel();
  reference::backprop::for_each_row((count + kBlock - 1) / kBlock, [&](std::int64_t block) {
    const std::int64_t end = std::min(count, (block + 1) * kBlock);
    for (std::int64_t i = block * kBlock; i < end; ++i) store(view, i, value(i));
  });
}

}  // namespace assay::suites::compile
