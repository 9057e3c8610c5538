// SPDX-License-Identifier: Apache-2.0
#include "kernels/llama/pointwise_cases_test.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstring>
#include <random>

namespace assay::kernels::llama::cases {
namespace {

float decode(ElementType type, const std::byte* from) {
  if (type == ElementType::kFloat32) {
    float value;
    std::memcpy(&value, from, 4);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, from, 2);
  return type == ElementType::kFloat16 ? __half2float(__half(__half_raw{bits}))
                                       : __bfloat162float(__nv_bfloat16(__nv_bfloat16_raw{bits}));
}
void encode(ElementType type, float value, std::byte* to) {
  if (type == ElementType::kFloat32) {
    std::memcpy(to, &value, 4);
    return;
  }
  const std::uint16_t bits = type == ElementType::kFloat16
                                 ? static_cast<__half_raw>(__float2half_rn(value)).x
                                 : static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(value)).x;
  std::memcpy(to, &bits, 2);
}

}  // namespace

std::size_t Matrix::byte_of(std::int64_t row, std::int64_t column) const {
  return offset + static_cast<std::size_t>(row * stride + column) * size_of(type);
}

Matrix Arena::add(ElementType type, std::int64_t rows, std::int64_t columns, std::int64_t stride, int shift) {
  Matrix m{.type = type, .rows = rows, .columns = columns, .stride = stride == 0 ? columns : stride};
  m.offset = size() + 256 + static_cast<std::size_t>(shift) * size_of(type);
  const std::size_t end = m.byte_of(rows, 0) + 256;
  Line poison;
  std::memset(poison.bytes, 0xa5, sizeof poison.bytes);
  lines_.resize((end + sizeof(Line) - 1) / sizeof(Line), poison);
  return m;
}

double Arena::get(const Matrix& m, std::int64_t row, std::int64_t column) const {
  return decode(m.type, data() + m.byte_of(row, column));
}
void Arena::set(const Matrix& m, std::int64_t row, std::int64_t column, double value) {
  encode(m.type, static_cast<float>(value), data() + m.byte_of(row, column));
}
void Arena::fill(const Matrix& m, double deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0.0, deviation);
  for (std::int64_t r = 0; r < m.rows; ++r)
    for (std::int64_t c = 0; c < m.columns; ++c) set(m, r, c, normal(random));
}

std::vector<NormCase> norm_cases(bool large) {
  std::vector<NormCase> cases;
  for (const ElementType type : kTypes) {
    // Around a warp's one and two vectors, a block's two and four, and the loop; not whole vectors.
    for (const std::int64_t hidden : {1, 7, 8, 64, 129, 250, 256, 264, 512, 520, 1000, 1024, 2048})
      cases.push_back({.type = type, .rows = 5, .hidden = hidden, .residual = hidden % 3 == 0});
    cases.push_back({.type = type, .rows = 9, .hidden = 1032, .residual = true, .trains_weight = true});
    cases.push_back({.type = type, .rows = 9, .hidden = 77, .residual = true, .trains_weight = true});
    cases.push_back({.type = type, .rows = 4, .hidden = 128, .trains_weight = true, .padding = 8});
    cases.push_back(
        {.type = type, .rows = 6, .hidden = 192, .residual = true, .in_place = true, .padding = 16});
    cases.push_back(
        {.type = type, .rows = 6, .hidden = 83, .residual = true, .in_place = true, .padding = 3});
    cases.push_back({.type = type, .rows = 3, .hidden = 128, .residual = true, .shift = 1});
    cases.push_back({.type = type, .rows = 3, .hidden = 128, .residual = true, .padding = 1});
    if (!large)
      continue;
    for (const std::int64_t hidden : {4096, 5120, 8192, 16384, 16392, 40000, 65537})
      cases.push_back(
          {.type = type, .rows = 7, .hidden = hidden, .residual = true, .trains_weight = hidden != 8192});
    // More rows than blocks of the weight's gradient.
    cases.push_back({.type = type, .rows = 5000, .hidden = 64, .trains_weight = true});
    cases.push_back({.type = type, .rows = 3001, .hidden = 1024, .residual = true, .trains_weight = true});
    cases.push_back({.type = type, .rows = 70000, .hidden = 24});
  }
  return cases;
}

std::vector<RopeCase> rope_cases(bool large) {
  std::vector<RopeCase> cases;
  for (const ElementType type : kTypes) {
    for (const std::int64_t head_dim : {2, 6, 16, 32, 34, 64, 96, 128, 256})
      cases.push_back({.type = type, .head_dim = head_dim, .position_bytes = head_dim % 3 == 0 ? 4 : 0});
    cases.push_back({.type = type, .batches = 2, .length = 3, .position_bytes = 8, .backward = true});
    cases.push_back({.type = type, .batches = 3, .length = 4, .head_major = true, .in_place = true});
    cases.push_back(
        {.type = type, .batches = 2, .length = 4, .k_heads = 0, .position_bytes = 4, .in_place = true});
    cases.push_back(
        {.type = type, .length = 3, .q_heads = 0, .k_heads = 3, .head_dim = 62, .backward = true});
    cases.push_back({.type = type, .length = 2, .q_heads = 64, .k_heads = 8, .head_dim = 128});  // two passes
    cases.push_back({.type = type, .length = 2, .q_heads = 7, .k_heads = 3, .in_place = true, .shift = 1});
    if (!large)
      continue;
    cases.push_back({.type = type,
                     .batches = 2,
                     .length = 513,
                     .q_heads = 32,
                     .k_heads = 8,
                     .head_dim = 128,
                     .position_bytes = 8});
    cases.push_back(
        {.type = type, .length = 300, .q_heads = 128, .k_heads = 16, .head_dim = 1024, .backward = true});
    cases.push_back({.type = type, .length = 70000, .q_heads = 1, .k_heads = 0, .head_dim = 16});
  }
  return cases;
}

std::vector<SwigluCase> swiglu_cases(bool large) {
  std::vector<SwigluCase> cases;
  for (const ElementType type : kTypes) {
    for (const std::int64_t columns : {1, 7, 8, 100, 256, 1031})
      cases.push_back({.type = type, .columns = columns, .again = columns % 2 == 0});
    cases.push_back({.type = type, .rows = 4, .columns = 512, .halves = true, .again = true});
    cases.push_back({.type = type, .rows = 4, .columns = 75, .halves = true});
    cases.push_back({.type = type, .rows = 2, .columns = 640, .in_place = true, .again = true, .padding = 8});
    cases.push_back({.type = type, .rows = 2, .columns = 333, .in_place = true, .again = true});
    cases.push_back({.type = type, .rows = 3, .columns = 160, .padding = 1});
    cases.push_back({.type = type, .rows = 3, .columns = 160, .again = true, .shift = 3});
    if (!large)
      continue;
    cases.push_back({.type = type, .rows = 37, .columns = 14336, .halves = true, .again = true});
    cases.push_back({.type = type, .rows = 21, .columns = 8195});
    cases.push_back({.type = type, .rows = 70000, .columns = 9, .padding = 1});
  }
  return cases;
}

}  // namespace assay::kernels::llama::cases
