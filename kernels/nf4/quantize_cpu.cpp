// SPDX-License-Identifier: Apache-2.0
// 16- and 32-bit weights to 4-bit codes on the CPU: bounds, work sharing, and the loop every instruction set
// compiles.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/nf4/quantize_cpu.cpp"
// clang-format off: once per target, in this order
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/nf4/quantize_cpu_encode-inl.hpp"
// clang-format on

#include <algorithm>
#include <limits>

#include "kernels/nf4/quantize.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::nf4::HWY_NAMESPACE {

template <ScalarType kType>
void encode_blocks(const QuantizeArgs& args, const Bounds& bounds, std::int64_t first, std::int64_t last) {
  for (std::int64_t block = first; block < last; ++block) {
    const std::int64_t begin = block * args.block_size;
    const std::int64_t count = std::min<std::int64_t>(args.block_size, args.num_weights - begin);
    encode_block<kType>(args.in, begin, count, args.block_size, bounds, args.packed + begin / 2,
                        args.absmax + block);
  }
}

/// NF4 ascends by code. FP4's order has 0 before 8, as torch.argsort leaves the two zeros.
Bounds make_bounds(Codebook codebook) {
  Bounds bounds{};
  const auto table = code_table(codebook);
  constexpr std::uint8_t kFp4Ascending[16] = {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3};
  for (int place = 0; place < 16; ++place)
    bounds.code_at[place] =
        codebook == Codebook::kNf4 ? static_cast<std::uint8_t>(place) : kFp4Ascending[place];
  for (int place = 0; place < 15; ++place)
    bounds.midpoint[place] = (table[bounds.code_at[place]] + table[bounds.code_at[place + 1]]) / 2.0f;
  bounds.midpoint[15] = std::numeric_limits<float>::infinity();
  bounds.place_of_zero = 7;  // after seven negative values, in either table
  return bounds;
}

void encode(const QuantizeArgs& args, std::int64_t first, std::int64_t last) {
  const Bounds bounds = make_bounds(args.codebook);
  switch (args.in_type) {
    case ScalarType::kFloat16:
      return encode_blocks<ScalarType::kFloat16>(args, bounds, first, last);
    case ScalarType::kBfloat16:
      return encode_blocks<ScalarType::kBfloat16>(args, bounds, first, last);
    case ScalarType::kFloat32:
      return encode_blocks<ScalarType::kFloat32>(args, bounds, first, last);
  }
}

}  // namespace assay::kernels::nf4::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include "kernels/common/instruction_sets.hpp"
#include "kernels/common/parallel_for.hpp"

namespace assay::kernels::nf4 {
HWY_EXPORT(encode);
namespace {

constexpr std::int64_t kWeightsPerRange = 1 << 16;

using Encode = void (*)(const QuantizeArgs&, std::int64_t, std::int64_t);

void run(Encode encode, const QuantizeArgs& args, int num_threads) {
  validate(args);
  const std::int64_t blocks = (args.num_weights + args.block_size - 1) / args.block_size;
  parallel_for(blocks, kWeightsPerRange / args.block_size, num_threads,
               [&](std::int64_t first, std::int64_t last) { encode(args, first, last); });
}

}  // namespace

void quantize_cpu(const QuantizeArgs& args, int num_threads) {
  run(HWY_DYNAMIC_DISPATCH(encode), args, num_threads);
}

void quantize_cpu_on(const std::string& instruction_set, const QuantizeArgs& args, int num_threads) {
  hwy::ChosenTarget chosen;
  chosen.Update(instruction_set_from_name(instruction_set, HWY_TARGETS));
  run(HWY_DISPATCH_TABLE(encode)[chosen.GetIndex()], args, num_threads);
}

}  // namespace assay::kernels::nf4

#endif  // HWY_ONCE
