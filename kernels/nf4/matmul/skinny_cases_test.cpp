// SPDX-License-Identifier: Apache-2.0
#include "kernels/nf4/matmul/skinny_cases_test.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstring>
#include <limits>

namespace assay::kernels::nf4::testing {
namespace {

std::size_t size_of(ScalarType type) {
  return type == ScalarType::kFloat32 ? 4 : 2;
}

void put(float value, ScalarType type, std::byte* at) {
  std::uint16_t bits = 0;
  switch (type) {
    case ScalarType::kFloat32:
      std::memcpy(at, &value, 4);
      return;
    case ScalarType::kFloat16:
      bits = __half_as_ushort(__float2half_rn(value));
      break;
    case ScalarType::kBfloat16:
      bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
      break;
  }
  std::memcpy(at, &bits, 2);
}

double get(ScalarType type, const std::byte* at) {
  if (type == ScalarType::kFloat32) {
    float f;
    std::memcpy(&f, at, 4);
    return static_cast<double>(f);
  }
  std::uint16_t bits;
  std::memcpy(&bits, at, 2);
  return static_cast<double>(type == ScalarType::kFloat16 ? __half2float(__ushort_as_half(bits))
                                                          : __bfloat162float(__ushort_as_bfloat16(bits)));
}

double rounded(double value, ScalarType type) {
  std::byte bytes[4];
  put(static_cast<float>(value), type, bytes);
  return get(type, bytes);
}

/// Of the codes in the table, and of one rounding of a result, relative.
double code_error(ScalarType type) {
  return type == ScalarType::kBfloat16 ? 0.002 : type == ScalarType::kFloat16 ? 0.0003 : 0x1p-22;
}
double rounding_error(ScalarType type) {
  return type == ScalarType::kBfloat16 ? 0x1p-9 : type == ScalarType::kFloat16 ? 0x1p-12 : 0x1p-24;
}

}  // namespace

std::string SkinnyCase::name() const {
  const char* types[] = {"f16", "bf16", "f32"};
  return std::to_string(n) + "x" + std::to_string(k) + "/m" + std::to_string(m) + "/" +
         types[static_cast<int>(type)] + "/block" + std::to_string(block_size) + (nested ? "" : "/single") +
         (bias ? "/bias" : "") + (codebook == Codebook::kFp4 ? "/fp4" : "") +
         (padding > 0 ? "/padding" + std::to_string(padding) : "");
}

SkinnySample::SkinnySample(const SkinnyCase& which, unsigned seed) : c(which) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform(0.5f, 1.0f);
  const auto weights = static_cast<std::size_t>(c.n * c.k);
  const std::size_t blocks =
      (weights + static_cast<std::size_t>(c.block_size) - 1) / static_cast<std::size_t>(c.block_size);
  packed.resize((weights + 1) / 2);
  for (auto& byte : packed) byte = static_cast<std::uint8_t>(random());
  if (c.nested) {
    absmax_codes.resize(blocks);
    nested_absmax.resize((blocks + 255) / 256);
    nested_code.resize(256);
    nested_offset = {0.04f};
    for (auto& code : absmax_codes) code = static_cast<std::uint8_t>(random());
    for (auto& level : nested_absmax) level = 0.02f * uniform(random);
    for (std::size_t i = 0; i < 256; ++i) nested_code[i] = (static_cast<float>(i) - 127.5f) / 127.5f;
  } else {
    absmax.resize(blocks);
    for (auto& a : absmax) a = 0.05f * uniform(random);
  }
  const std::size_t size = size_of(c.type);
  x.resize(static_cast<std::size_t>(c.m * (c.k + c.padding)) * size);
  for (std::size_t i = 0; i < x.size(); i += size) put(normal(random), c.type, &x[i]);
  y.resize(static_cast<std::size_t>(c.m * (c.n + c.padding)) * size);
  for (std::size_t i = 0; i < y.size(); i += size)
    put(std::numeric_limits<float>::quiet_NaN(), c.type, &y[i]);
  if (c.bias) {
    bias.resize(static_cast<std::size_t>(c.n) * size);
    for (std::size_t i = 0; i < bias.size(); i += size) put(normal(random), c.type, &bias[i]);
  }
}

SkinnyArgs SkinnySample::args() {
  SkinnyArgs a;
  a.weights = {.packed = packed.data(),
               .num_weights = c.n * c.k,
               .block_size = c.block_size,
               .codebook = c.codebook,
               .absmax = c.nested ? nullptr : absmax.data(),
               .absmax_codes = c.nested ? absmax_codes.data() : nullptr,
               .nested_absmax = c.nested ? nested_absmax.data() : nullptr,
               .nested_code = c.nested ? nested_code.data() : nullptr,
               .nested_offset = c.nested ? nested_offset.data() : nullptr};
  a.n = c.n, a.k = c.k, a.m = c.m;
  a.x = x.data(), a.y = y.data(), a.bias = c.bias ? bias.data() : nullptr;
  a.ldx = c.k + c.padding, a.ldy = c.n + c.padding;
  a.type = c.type;
  return a;
}

void SkinnySample::expect_product(const std::vector<std::byte>& out) const {
  SCOPED_TRACE(c.name());
  const std::span<const float, 16> code = code_table(c.codebook);
  const std::size_t size = size_of(c.type);
  double squares = 0.0, allowed_squares = 0.0;
  std::vector<double> row(static_cast<std::size_t>(c.k));
  for (std::int64_t n = 0; n < c.n; ++n) {
    for (std::int64_t k = 0; k < c.k; ++k) {
      const auto i = static_cast<std::size_t>(n * c.k + k);
      const std::size_t block = i / static_cast<std::size_t>(c.block_size);
      const int nibble = i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
      const double a = c.nested ? static_cast<double>(nested_code[absmax_codes[block]]) *
                                          static_cast<double>(nested_absmax[block / 256]) +
                                      static_cast<double>(nested_offset[0])
                                : static_cast<double>(absmax[block]);
      row[static_cast<std::size_t>(k)] = static_cast<double>(code[static_cast<std::size_t>(nibble)]) * a;
    }
    const double b = c.bias ? get(c.type, &bias[static_cast<std::size_t>(n) * size]) : 0.0;
    for (std::int64_t m = 0; m < c.m; ++m) {
      double truth = b, plain = b, magnitude = std::abs(b);
      for (std::int64_t k = 0; k < c.k; ++k) {
        const double left = get(c.type, &x[static_cast<std::size_t>(m * (c.k + c.padding) + k) * size]);
        const double weight = row[static_cast<std::size_t>(k)];
        truth += left * weight;
        plain += left * rounded(weight, c.type);
        magnitude += std::abs(left * weight);
      }
      const double found = get(c.type, &out[static_cast<std::size_t>(m * (c.n + c.padding) + n) * size]);
      const double bound = code_error(c.type) * magnitude + 1.1 * rounding_error(c.type) * std::abs(truth) +
                           0x1p-20 * magnitude + 1e-7;
      ASSERT_LE(std::abs(found - truth), bound) << "row " << m << " column " << n;
      squares += (found - truth) * (found - truth);
      const double off = rounded(plain, c.type) - truth;
      allowed_squares += off * off;
    }
  }
  if (c.n * c.m >= 64 && c.type != ScalarType::kFloat32) {
    EXPECT_LE(std::sqrt(squares), 1.2 * std::sqrt(allowed_squares));
  }
  for (std::int64_t m = 0; m < c.m; ++m)
    for (std::int64_t i = c.n; i < c.n + c.padding; ++i)
      ASSERT_TRUE(std::isnan(get(c.type, &out[static_cast<std::size_t>(m * (c.n + c.padding) + i) * size])))
          << "written between rows " << m << " and " << m + 1;
}

std::vector<SkinnyCase> matrix_cases() {
  const auto kHalf = ScalarType::kFloat16;
  return {
      {.m = 1, .n = 16, .k = 64},
      {.m = 1, .n = 100, .k = 4096 + 64, .bias = true},
      {.m = 1, .n = 40, .k = 2112, .type = kHalf, .block_size = 128},
      {.m = 2, .n = 64, .k = 2048, .nested = false},
      {.m = 2, .n = 33, .k = 320, .type = kHalf, .bias = true, .padding = 8},
      {.m = 3, .n = 48, .k = 576, .bias = true},
      {.m = 4, .n = 70, .k = 2368, .type = kHalf, .padding = 16},
      {.m = 5, .n = 80, .k = 448, .block_size = 4096},
      {.m = 8, .n = 50, .k = 2240, .type = kHalf, .bias = true},
      {.m = 8, .n = 64, .k = 2048, .codebook = Codebook::kFp4},
      {.m = 9, .n = 65, .k = 384, .padding = 8},
      {.m = 16, .n = 96, .k = 2496, .block_size = 128, .bias = true},
      {.m = 16, .n = 31, .k = 1024, .type = kHalf, .nested = false},
  };
}

std::vector<SkinnyCase> plain_cases() {
  return {
      {.m = 1, .n = 5, .k = 77, .bias = true},
      {.m = 3, .n = 9, .k = 100, .type = ScalarType::kFloat16, .block_size = 32},
      {.m = 16, .n = 17, .k = 130, .type = ScalarType::kFloat32, .bias = true, .padding = 3},
      {.m = 2, .n = 8, .k = 128, .nested = false, .padding = 1},
      {.m = 4, .n = 6, .k = 1},
  };
}

}  // namespace assay::kernels::nf4::testing
