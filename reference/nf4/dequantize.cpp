// SPDX-License-Identifier: Apache-2.0
// Truth and exact bits of dequantized weights, range by range. A block has only 16 different values, so each
// is evaluated once per block: that, not cleverness in the loop, is what makes checking 235 million weights
// quick.
#include "reference/nf4/dequantize.hpp"

#include <algorithm>
#include <stdexcept>

#include "reference/nf4/rounding.hpp"
#include "reference/nf4/table.hpp"

namespace assay::reference::nf4 {
namespace {

const float* code_of(const QuantizedWeights& weights) {
  return weights.codebook == Codebook::kNf4 ? kNf4Code : kFp4Code;
}

int nibble(const std::uint8_t* packed, std::int64_t i) {
  return i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
}

double absmax_truth(const QuantizedWeights& w, std::int64_t block) {
  if (w.absmax_codes == nullptr)
    return w.absmax[block];
  const double code = w.nested_code[w.absmax_codes[block]];
  return code * static_cast<double>(w.nested_absmax[block / w.nested_block_size]) +
         static_cast<double>(*w.nested_offset);
}

float absmax_exact(const QuantizedWeights& w, std::int64_t block) {
  if (w.absmax_codes == nullptr)
    return w.absmax[block];
  const float product = w.nested_code[w.absmax_codes[block]] * w.nested_absmax[block / w.nested_block_size];
  return product + *w.nested_offset;
}

/// Calls fill(block, values) for each block that [begin, begin + count) touches and copies its part of the
/// range out.
template <class Value, class Fill>
void for_each_block(const QuantizedWeights& w, std::int64_t begin, std::int64_t count, Value* out,
                    Fill fill) {
  if (begin < 0 || count < 0 || begin > w.count - count)
    throw std::invalid_argument("nf4 oracle: the range lies outside the weights");
  const std::int64_t end = begin + count;
  for (std::int64_t i = begin; i < end;) {
    const std::int64_t block = i / w.block_size;
    const std::int64_t block_end = std::min(end, (block + 1) * w.block_size);
    Value values[16];
    fill(block, values);
    for (; i < block_end; ++i) *out++ = values[nibble(w.packed, i)];
  }
}

template <class Value, class Round>
void exact_as(const QuantizedWeights& w, std::int64_t begin, std::int64_t count, std::byte* out,
              Round round) {
  const float* code = code_of(w);
  for_each_block(w, begin, count, reinterpret_cast<Value*>(out), [&](std::int64_t block, Value* values) {
    const float absmax = absmax_exact(w, block);
    for (int c = 0; c < 16; ++c) values[c] = round(code[c] * absmax);
  });
}

}  // namespace

std::size_t size_of(Scalar type) {
  return type == Scalar::kFloat32 ? 4 : 2;
}

void truth(const QuantizedWeights& weights, std::int64_t begin, std::span<double> out) {
  const float* code = code_of(weights);
  const auto count = static_cast<std::int64_t>(out.size());
  for_each_block(weights, begin, count, out.data(), [&](std::int64_t block, double* values) {
    const double absmax = absmax_truth(weights, block);
    for (int c = 0; c < 16; ++c) values[c] = static_cast<double>(code[c]) * absmax;
  });
}

void exact(const QuantizedWeights& weights, Scalar type, std::int64_t begin, std::int64_t count,
           std::byte* out) {
  switch (type) {
    case Scalar::kFloat16:
      return exact_as<std::uint16_t>(weights, begin, count, out, to_f16);
    case Scalar::kBfloat16:
      return exact_as<std::uint16_t>(weights, begin, count, out, to_bf16);
    case Scalar::kFloat32:
      return exact_as<std::uint32_t>(weights, begin, count, out, to_f32);
  }
  throw std::invalid_argument("nf4 oracle: unknown output type");
}

}  // namespace assay::reference::nf4
