// SPDX-License-Identifier: Apache-2.0
// Rows of W are decoded to f32 a piece of K at a time, four rows together, and multiplied while they lie in
// the first cache with the piece of x: 8 KiB, and 32 of 16 rows of x.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/nf4/matmul/skinny_cpu.cpp"
// clang-format off: once per target, in this order
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/nf4/dequantize_cpu_decode-inl.hpp"
// clang-format on

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/nf4/matmul/skinny_cpu_product.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::nf4::HWY_NAMESPACE {

constexpr hn::CappedTag<float, 16> kFloats{};
using Floats = hn::Vec<decltype(kFloats)>;
using WeightDecoder = Decoder<ScalarType::kFloat32>;
constexpr std::int64_t kStep = WeightDecoder::kWeights;  // divides every block size
constexpr int kRows = 4;
constexpr std::int64_t kLanes = hn::MaxLanes(kFloats);

HWY_INLINE float absmax_of(const PackedWeights& w, std::int64_t block) {
  if (!w.nested())
    return w.absmax[block];
  const float product =
      w.nested_code[w.absmax_codes[block]] *
      w.nested_absmax[block >> std::countr_zero(static_cast<std::uint32_t>(w.nested_block_size))];
  return product + *w.nested_offset;
}

/// Weights [begin, begin + count) as f32 to `out` with whole steps around them and zeros behind, up to
/// kPiece; returns where the first one lies.
HWY_INLINE const float* decode_piece(WeightDecoder& decoder, const PackedWeights& w, std::int64_t begin,
                                     std::int64_t count, float* HWY_RESTRICT out) {
  const std::int64_t first = begin / kStep * kStep, end = begin + count;
  const int shift = std::countr_zero(static_cast<std::uint32_t>(w.block_size));
  std::int64_t block = -1;
  for (std::int64_t at = first; at < end; at += kStep) {
    if (at >> shift != block) {
      block = at >> shift;
      decoder.set_scale(absmax_of(w, block));
    }
    auto* const to = reinterpret_cast<std::uint32_t*>(out + (at - first));
    if (at + kStep <= w.num_weights) {
      decoder.step(w.packed + at / 2, to);
    } else {  // the last step of all: nothing behind the codes is read
      std::uint8_t padded[kStep / 2] = {};
      std::memcpy(padded, w.packed + at / 2, static_cast<std::size_t>(w.num_weights - at + 1) / 2);
      decoder.step(padded, to);
    }
  }
  float* const piece = out + (begin - first);
  const std::int64_t padded = (count + kLanes - 1) / kLanes * kLanes;
  std::fill(piece + count, piece + padded, 0.0f);
  return piece;
}

/// sums[r][i] += Σ w[r] · x[i] over `count` padded to lanes, for kRows rows of W and kColumns of x.
template <int kColumns>
HWY_INLINE void multiply(const float* const* w, const float* x, std::int64_t ldx, std::int64_t count,
                         float* HWY_RESTRICT sums) {
  Floats sum[kRows][kColumns];
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kColumns; ++i) sum[r][i] = hn::Load(kFloats, sums + (i * kRows + r) * kLanes);
  for (std::int64_t c = 0; c < count; c += kLanes) {
    Floats right[kColumns];
    for (int i = 0; i < kColumns; ++i) right[i] = hn::LoadU(kFloats, x + i * ldx + c);
    for (int r = 0; r < kRows; ++r) {
      const Floats left = hn::LoadU(kFloats, w[r] + c);
      for (int i = 0; i < kColumns; ++i) sum[r][i] = hn::MulAdd(left, right[i], sum[r][i]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int i = 0; i < kColumns; ++i) hn::Store(sum[r][i], kFloats, sums + (i * kRows + r) * kLanes);
}

/// y[i][row] for rows [row, row + rows), at most kRows, of W.
void product_of_rows(const CpuProduct& p, std::int64_t row, int rows) {
  alignas(64) float decoded[kRows][kPiece + 2 * 64];
  alignas(64) float sums[kMostColumns * kRows * kLanes];
  std::fill_n(sums, p.m * kRows * kLanes, 0.0f);
  WeightDecoder decoder(code_table(p.weights.codebook).data());
  for (std::int64_t c = 0; c < p.k; c += kPiece) {
    const std::int64_t count = std::min(kPiece, p.k - c);
    const float* w[kRows];
    for (int r = 0; r < kRows; ++r)  // past the last row: the first again, whose sums nobody reads
      w[r] = r < rows ? decode_piece(decoder, p.weights, (row + r) * p.k + c, count, decoded[r]) : w[0];
    const auto multiply_columns = [&]<int kColumns>(int i) {
      multiply<kColumns>(w, p.x + i * p.ldx + c, p.ldx, count, sums + i * kRows * kLanes);
    };
    int i = 0;
    if constexpr (kLanes == 16)  // 32 registers hold 4 x 4 sums
      for (; i + 4 <= p.m; i += 4) multiply_columns.template operator()<4>(i);
    for (; i + 2 <= p.m; i += 2) multiply_columns.template operator()<2>(i);
    if (i < p.m)
      multiply_columns.template operator()<1>(i);
  }
  for (int i = 0; i < p.m; ++i)
    for (int r = 0; r < rows; ++r)
      p.y[i * p.n + row + r] =
          hn::GetLane(hn::SumOfLanes(kFloats, hn::Load(kFloats, sums + (i * kRows + r) * kLanes)));
}

void skinny_rows(const CpuProduct& p, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; row += kRows)
    product_of_rows(p, row, static_cast<int>(std::min<std::int64_t>(kRows, end - row)));
}

}  // namespace assay::kernels::nf4::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/common/instruction_sets.hpp"
#include "kernels/common/parallel_for.hpp"
#include "kernels/nf4/matmul/skinny_check.hpp"
#include "kernels/nf4/matmul/skinny_cpu.hpp"

namespace assay::kernels::nf4 {
HWY_EXPORT(skinny_rows);
namespace {

using Rows = void (*)(const CpuProduct&, std::int64_t, std::int64_t);

float element(const void* data, ScalarType type, std::int64_t i) {
  switch (type) {
    case ScalarType::kFloat16:
      return __half2float(static_cast<const __half*>(data)[i]);
    case ScalarType::kBfloat16:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
    case ScalarType::kFloat32:
      break;
  }
  return static_cast<const float*>(data)[i];
}

void put(void* data, ScalarType type, std::int64_t i, float value) {
  switch (type) {
    case ScalarType::kFloat16:
      static_cast<__half*>(data)[i] = __float2half_rn(value);
      return;
    case ScalarType::kBfloat16:
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
      return;
    case ScalarType::kFloat32:
      static_cast<float*>(data)[i] = value;
      return;
  }
}

/// x as f32, rows padded with zeros to whole vectors of any instruction set.
std::vector<float> padded_rows(const SkinnyArgs& args, std::int64_t ldx) {
  std::vector<float> out(static_cast<std::size_t>(args.m * ldx));
  for (std::int64_t i = 0; i < args.m; ++i)
    for (std::int64_t c = 0; c < args.k; ++c)
      out[static_cast<std::size_t>(i * ldx + c)] = element(args.x, args.type, i * args.ldx + c);
  return out;
}

constexpr std::int64_t kWeightsPerRange = 1 << 17;  // as in dequantize_cpu.cpp

void run(Rows rows, const SkinnyArgs& given, int num_threads) {
  const SkinnyArgs args = checked(given);
  if (args.m == 0 || args.n == 0)
    return;
  const std::int64_t ldx = (args.k + 15) / 16 * 16;
  const std::vector<float> x = padded_rows(args, ldx);
  std::vector<float> y(static_cast<std::size_t>(args.m * args.n));
  const CpuProduct product{.weights = args.weights,
                           .n = args.n,
                           .k = args.k,
                           .m = args.m,
                           .x = x.data(),
                           .ldx = ldx,
                           .y = y.data()};
  const std::int64_t grain =
      std::max<std::int64_t>(1, kWeightsPerRange / std::max<std::int64_t>(1, args.k)) + 3;
  parallel_for(args.n, grain / 4 * 4, num_threads, [&](std::int64_t begin, std::int64_t end) {
    rows(product, begin, end);
    for (std::int64_t i = 0; i < args.m; ++i)
      for (std::int64_t r = begin; r < end; ++r) {
        const float bias = args.bias == nullptr ? 0.0f : element(args.bias, args.type, r);
        put(args.y, args.type, i * args.ldy + r, y[static_cast<std::size_t>(i * args.n + r)] + bias);
      }
  });
}

}  // namespace

void skinny_linear_cpu(const SkinnyArgs& args, int num_threads) {
  run(HWY_DYNAMIC_DISPATCH(skinny_rows), args, num_threads);
}

std::vector<std::string> skinny_cpu_instruction_sets() {
  return usable_instruction_sets(HWY_TARGETS);
}

void skinny_linear_cpu_on(const std::string& instruction_set, const SkinnyArgs& args, int num_threads) {
  hwy::ChosenTarget chosen;
  chosen.Update(instruction_set_from_name(instruction_set, HWY_TARGETS));
  run(HWY_DISPATCH_TABLE(skinny_rows)[chosen.GetIndex()], args, num_threads);
}

}  // namespace assay::kernels::nf4

#endif  // HWY_ONCE
