// SPDX-License-Identifier: Apache-2.0
// 4-bit weights to 16 bits: outputs longer than an int32 addresses, and the stream of the GPU's kernel.

#include <cstring>
#include <functional>

#include "kernels/nf4/dequantize_cpu.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/graph_defect.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/repeated_memory.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

using kernels::nf4::PackedWeights;
using kernels::nf4::ScalarType;
using Dequantize = std::function<void(const PackedWeights&, void* out)>;

constexpr std::int64_t kWrap = std::int64_t{1} << 30;  // f16 weights in 2^31 bytes

void ours(const PackedWeights& weights, void* out) {
  kernels::nf4::dequantize_cpu(weights, out, ScalarType::kFloat16);
}

/// What lies past 2^31 bytes is written at the front.
void wrapped_offset(const PackedWeights& weights, void* out) {
  PackedWeights front = weights, tail = weights;
  front.num_weights = kWrap;
  ours(front, out);
  tail.num_weights -= kWrap;
  tail.packed += kWrap / 2, tail.absmax += kWrap / weights.block_size;
  ours(tail, out);
}

/// 2^30 weights of 0 and, behind them, weights that alternate between 2 and -2.
void past_two_gigabytes(const Dequantize& dequantize) {
  constexpr std::size_t kWindow = std::size_t{1} << 20;  // weights
  constexpr std::int64_t kCount = kWrap + static_cast<std::int64_t>(kWindow);
  const RepeatedMemory packed(kCount / 2, kWindow / 2), out(2 * kCount, 2 * kWindow);
  std::memset(packed.first().data(), 0x77, packed.first().size());
  std::memset(packed.last().data(), 0xF0, packed.last().size());
  std::memset(out.first().data(), 0xFF, out.first().size());
  std::memset(out.last().data(), 0xFF, out.last().size());
  PackedWeights weights;
  weights.packed = reinterpret_cast<const std::uint8_t*>(packed.data());
  weights.num_weights = kCount, weights.block_size = 4096;
  const std::vector<float> absmax(static_cast<std::size_t>(weights.num_blocks()), 2.0f);
  weights.absmax = absmax.data();
  answer([&] { dequantize(weights, out.data()); });
  const auto* const front = reinterpret_cast<const std::uint16_t*>(out.first().data());
  const auto* const tail = reinterpret_cast<const std::uint16_t*>(out.last().data());
  for (std::size_t i = 0; i < kWindow; ++i) {
    if (tail[i] != (i % 2 == 0 ? 0x4000 : 0xC000))
      throw Rejected(
          text("expected 2 and -2 behind 2^31 bytes, found bits ", tail[i], " in element 2^30 + ", i));
    if (front[i] != 0)
      throw Rejected(text("expected 0 in front, found bits ", front[i], " in element ", i));
  }
}

}  // namespace

std::vector<Defect> dequantize_defects() {
  return {defect({"bitsandbytes-foundation/bitsandbytes", 1782,
                  "offsets past 2^31 wrap, so the tail is written elsewhere", kDequantizeCpu},
                 ours, wrapped_offset, past_two_gigabytes),
          graph_defect()};
}

}  // namespace assay::suites::conformance
