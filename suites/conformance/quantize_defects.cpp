// SPDX-License-Identifier: Apache-2.0
// Weights to 4 bits: block sizes, partial blocks, more weights than an int32 counts.

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "kernels/nf4/quantize.hpp"
#include "reference/nf4/table.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/plain_quantize.hpp"
#include "suites/conformance/repeated_memory.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

using kernels::nf4::QuantizeArgs;
using Quantize = std::function<void(const QuantizeArgs&)>;

constexpr const char* kProject = "bitsandbytes-foundation/bitsandbytes";

void ours(const QuantizeArgs& args) {
  kernels::nf4::quantize_cpu(args);
}
Quantize mutant(const QuantizeFault& fault) {
  return [fault](const QuantizeArgs& args) { plain_quantize(args, fault); };
}

/// Normal weights, with large ones in memory behind the last that no block may look at.
std::vector<float> weights_of(std::int64_t count, std::int32_t block_size) {
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<std::size_t>(count + block_size), 1e4f);
  std::generate_n(out.begin(), count, [&] { return normal(engine); });
  return out;
}

/// Each block's absmax is the largest of its weights, and no code lies nearer to a weight than its own.
void check_blocks(const Quantize& quantize, std::int64_t count, std::int32_t block_size) {
  const std::vector<float> in = weights_of(count, block_size);
  std::vector<std::uint8_t> packed(static_cast<std::size_t>((count + 1) / 2), 0xEE);
  std::vector<float> absmax(static_cast<std::size_t>((count + block_size - 1) / block_size),
                            std::numeric_limits<float>::quiet_NaN());
  QuantizeArgs args;
  args.in = in.data(), args.num_weights = count, args.block_size = block_size;
  args.packed = packed.data(), args.absmax = absmax.data();
  answer([&] { quantize(args); });
  for (std::int64_t begin = 0; begin < count; begin += block_size) {
    const std::int64_t end = std::min<std::int64_t>(begin + block_size, count);
    float largest = 0.0f;
    for (std::int64_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(in[i]));
    const std::int64_t block = begin / block_size;
    demand(absmax[block] == largest, text("absmax ", largest, " of block ", block), text(absmax[block]));
    for (std::int64_t i = begin; i < end; ++i) {
      const int code = i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
      double nearest = std::numeric_limits<double>::infinity();
      const auto distance = [&](float value) { return std::abs(double{value} * largest - in[i]); };
      for (const float value : reference::nf4::kNf4Code) nearest = std::min(nearest, distance(value));
      if (!(distance(reference::nf4::kNf4Code[code]) <= nearest + 1e-6 * largest))
        throw Rejected(text("expected the code nearest to weight ", i, ", found code ", code));
    }
  }
}

void blocks_above_1024(const Quantize& quantize) {
  for (const std::int32_t block_size : {1024, 2048, 4096}) check_blocks(quantize, 4 * block_size, block_size);
}
void blocks_of_4096_and_few_weights(const Quantize& quantize) {
  for (const std::int64_t count : {16, 4096, 8200}) check_blocks(quantize, count, 4096);
}
void partial_last_block(const Quantize& quantize) {
  for (const std::int64_t count : {1, 63, 65, 64 * 7 + 3, 1000}) check_blocks(quantize, count, 64);
}

/// 2^31 zeros and, behind them, weights that alternate between 1 and -1, in f16.
void more_than_int32_counts(const Quantize& quantize) {
  constexpr std::size_t kWindow = std::size_t{1} << 20;  // weights
  constexpr std::int64_t kCount = (std::int64_t{1} << 31) + kWindow;
  constexpr std::int32_t kBlock = 4096;
  const RepeatedMemory in(2 * kCount, 2 * kWindow), packed(kCount / 2, kWindow / 2);
  auto* const values = reinterpret_cast<std::uint16_t*>(in.last().data());
  for (std::size_t i = 0; i < kWindow; ++i) values[i] = i % 2 == 0 ? 0x3C00 : 0xBC00;
  std::vector<float> absmax(static_cast<std::size_t>(kCount / kBlock), -1.0f);
  QuantizeArgs args;
  args.in = in.data(), args.in_type = kernels::nf4::ScalarType::kFloat16;
  args.num_weights = kCount, args.block_size = kBlock;
  args.packed = reinterpret_cast<std::uint8_t*>(packed.data()), args.absmax = absmax.data();
  answer([&] { quantize(args); });
  const auto all = [](std::span<const std::byte> bytes, int value) {
    return std::ranges::all_of(bytes, [value](std::byte b) { return b == std::byte(value); });
  };
  demand(absmax.front() == 0.0f && absmax.back() == 1.0f, "absmax 0 in the first block and 1 in the last",
         text(absmax.front(), " and ", absmax.back()));
  demand(all(packed.first(), 0x77), "codes of 0 in front", "others");
  demand(all(packed.last(), 0xF0), "codes of 1 and -1 behind weight 2^31", "others");
}

void wrapped_count(const QuantizeArgs& args) {
  QuantizeArgs wrapped = args;
  wrapped.num_weights = static_cast<std::int32_t>(args.num_weights);
  ours(wrapped);
}

}  // namespace

std::vector<Defect> quantize_defects() {
  return {
      defect({kProject, 2067, "2^31 weights and more: their number wraps to a negative int32", kQuantizeCpu},
             ours, wrapped_count, more_than_int32_counts),
      defect({kProject, 565, "blocks above 1024 are scaled by part of their weights", kQuantizeCpu}, ours,
             mutant({.weights_seen = 1024}), blocks_above_1024, mutant({})),
      defect({kProject, 1157, "blocks of 4096 get 8-bit codes where 4-bit ones belong", kQuantizeCpu}, ours,
             mutant({.eight_bits = true}), blocks_of_4096_and_few_weights, mutant({})),
      defect({kProject, 1884, "a partial last block is scaled by what lies behind the weights", kQuantizeCpu},
             ours, mutant({.reads_past_end = true}), partial_last_block, mutant({})),
  };
}

}  // namespace assay::suites::conformance
