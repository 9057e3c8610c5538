// SPDX-License-Identifier: Apache-2.0
#include "kernels/nf4/matmul/skinny_check.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>
#include <string>

namespace assay::kernels::nf4 {
namespace {

[[noreturn]] void refuse(const std::string& expected, const std::string& found) {
  throw std::invalid_argument("skinny_linear: expected " + expected + ", found " + found);
}

std::uintptr_t address(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p);
}

std::size_t size_of(ScalarType type) {
  switch (type) {
    case ScalarType::kFloat16:
    case ScalarType::kBfloat16:
      return 2;
    case ScalarType::kFloat32:
      return 4;
  }
  refuse("a scalar type kFloat16, kBfloat16 or kFloat32", "value " + std::to_string(static_cast<int>(type)));
}

std::int64_t checked_stride(const char* name, std::int64_t stride, std::int64_t columns) {
  if (stride == 0)
    return columns;
  if (stride < columns)
    refuse(std::string(name) + " 0 or at least the " + std::to_string(columns) + " columns of a row",
           std::to_string(stride));
  return stride;
}

void check_pointer(const char* name, const void* pointer, std::size_t alignment) {
  if (pointer == nullptr)
    refuse(std::string(name) + " to point to memory", "null");
  if (address(pointer) % alignment != 0)
    refuse(std::string(name) + " aligned to its element of " + std::to_string(alignment) + " bytes",
           "an address that is not");
}

std::uint16_t bits16(float value, ScalarType type) {
  return type == ScalarType::kFloat16 ? __half_as_ushort(__float2half_rn(value))
                                      : __bfloat16_as_ushort(__float2bfloat16_rn(value));
}

unsigned log2_of(std::int32_t power) {
  return static_cast<unsigned>(std::countr_zero(static_cast<std::uint32_t>(power)));
}

}  // namespace

SkinnyArgs checked(const SkinnyArgs& args) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max() / 2;
  SkinnyArgs out = args;
  validate(args.weights);
  const std::size_t size = size_of(args.type);
  if (args.n < 0 || args.k < 0 || args.n > kMost || args.k > kMost)
    refuse("n and k from 0 to " + std::to_string(kMost),
           std::to_string(args.n) + " and " + std::to_string(args.k));
  if (args.weights.num_weights != args.n * args.k)
    refuse("weights of n · k = " + std::to_string(args.n * args.k),
           std::to_string(args.weights.num_weights) + " of them");
  if (args.m < 0 || args.m > 16)
    refuse("0 to 16 rows of x", std::to_string(args.m));
  out.ldx = checked_stride("ldx", args.ldx, args.k);
  out.ldy = checked_stride("ldy", args.ldy, args.n);
  if (args.m == 0 || args.n == 0)
    return out;
  check_pointer("y", args.y, size);
  if (args.k > 0)
    check_pointer("x", args.x, size);
  if (args.bias != nullptr)
    check_pointer("bias", args.bias, size);
  return out;
}

SkinnyProblem problem_of(const SkinnyArgs& args, int sm, int multiprocessors) {
  const bool rows_aligned = args.m == 1 || args.ldx % 8 == 0;
  return {.n = args.n,
          .k = args.k,
          .m = args.m,
          .block_size = args.weights.block_size,
          .type = args.type,
          .aligned = address(args.x) % 16 == 0 && address(args.weights.packed) % 16 == 0 && rows_aligned,
          .sm = sm,
          .multiprocessors = multiprocessors};
}

// Root mean square error of the 16 codes, each as likely: at the best of 16384 scales in [1, 2), at 1, and
// the mean over all scales, which is what rounding code · absmax costs:
//   bf16  3.2e-4  5.5e-4  8.5e-4        f16  3.2e-5  8.1e-5  1.06e-4
// FP4's codes are twelfths: times 12 they are exact.
float table_scale(Codebook codebook, ScalarType type) {
  if (type == ScalarType::kFloat32)
    return 1.0f;
  if (codebook == Codebook::kFp4)
    return 12.0f;
  return type == ScalarType::kBfloat16 ? 1.43701171875f : 1.67767333984375f;
}

device::SkinnyParams params_of(const SkinnyArgs& args) {
  const PackedWeights& w = args.weights;
  device::SkinnyParams p{};
  p.packed = w.packed;
  p.absmax_codes = w.absmax_codes;
  p.absmax = w.absmax;
  p.nested_absmax = w.nested_absmax;
  p.nested_code = w.nested_code;
  p.nested_offset = w.nested_offset;
  p.x = args.x;
  p.bias = args.bias;
  p.y = args.y;
  p.ldx = args.ldx;
  p.ldy = args.ldy;
  p.n = static_cast<unsigned>(args.n);
  p.k = static_cast<unsigned>(args.k);
  p.m = static_cast<unsigned>(args.m);
  p.block_shift = log2_of(w.block_size);
  p.nested_shift = log2_of(w.nested_block_size);
  p.weights_are_constant = args.weights_are_constant ? 1 : 0;
  std::ranges::copy(code_table(w.codebook), p.code);
  const float scale = table_scale(w.codebook, args.type);
  p.inverse_table_scale = 1.0f / scale;
  if (args.type != ScalarType::kFloat32)
    std::ranges::transform(p.code, p.scaled_code,
                           [&](float code) { return bits16(code * scale, args.type); });
  return p;
}

void check(const SkinnyConfig& c, const SkinnyProblem& problem) {
  const auto tiles_built = [](int count) { return count == 1 || count == 2; };
  if (c.grid == 0)
    refuse("a grid of at least one thread block", "0");
  if (!c.matrix)
    return;
  if (!fits_matrix_kernel(problem))
    refuse(
        "f16 (bf16 from sm_80 on), blocks of at least 64, k a multiple of 64, packed and rows of x aligned "
        "to 16 "
        "bytes for the matrix kernel",
        "other arguments");
  if (!tiles_built(c.column_tiles) || !tiles_built(c.row_tiles) ||
      (c.blocks_a_group != 1 && c.blocks_a_group != 2 && c.blocks_a_group != 4) ||
      (c.column_tiles == 2 && c.blocks_a_group != 1))
    refuse("1, 2 or 4 blocks a group, 1 or 2 tiles of rows, 2 tiles of columns with 1 block a group alone",
           std::to_string(c.blocks_a_group) + ", " + std::to_string(c.row_tiles) + ", " +
               std::to_string(c.column_tiles));
  if (problem.m > columns_of(c))
    refuse("at most " + std::to_string(columns_of(c)) + " rows of x for this configuration",
           std::to_string(problem.m));
}

}  // namespace assay::kernels::nf4
