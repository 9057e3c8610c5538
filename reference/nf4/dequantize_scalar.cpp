// SPDX-License-Identifier: Apache-2.0
// The scalar baseline on a CPU: per block one absmax, per byte two table lookups, two multiplies, two
// conversions. What one writes first and what the compiler then optimizes (-O3); no intrinsics, no threads,
// nothing held back.
#include <algorithm>
#include <bit>
#include <stdexcept>

#include "reference/nf4/dequantize.hpp"
#include "reference/nf4/rounding.hpp"
#include "reference/nf4/table.hpp"

namespace assay::reference::nf4 {
namespace {

template <class Value, class Round>
void dequantize_as(const QuantizedWeights& w, Value* out, Round round) {
  const float* code = w.codebook == Codebook::kNf4 ? kNf4Code : kFp4Code;
  const std::int64_t num_blocks = (w.count + w.block_size - 1) / w.block_size;
  const int nested_shift = std::countr_zero(static_cast<std::uint32_t>(w.nested_block_size));
  for (std::int64_t block = 0; block < num_blocks; ++block) {
    float absmax;
    if (w.absmax_codes != nullptr) {
      const float product = w.nested_code[w.absmax_codes[block]] * w.nested_absmax[block >> nested_shift];
      absmax = product + *w.nested_offset;
    } else {
      absmax = w.absmax[block];
    }
    const std::int64_t begin = block * w.block_size;
    const std::int64_t end = std::min(w.count, begin + w.block_size);
    std::int64_t i = begin;
    for (; i + 1 < end; i += 2) {
      const std::uint8_t byte = w.packed[i / 2];
      out[i] = round(code[byte >> 4] * absmax);
      out[i + 1] = round(code[byte & 15] * absmax);
    }
    if (i < end)
      out[i] = round(code[w.packed[i / 2] >> 4] * absmax);
  }
}

}  // namespace

void dequantize_scalar(const QuantizedWeights& weights, Scalar type, void* out) {
  switch (type) {
    case Scalar::kFloat16:
      return dequantize_as(weights, static_cast<std::uint16_t*>(out), [](float v) { return to_f16(v); });
    case Scalar::kBfloat16:
      return dequantize_as(weights, static_cast<std::uint16_t*>(out), [](float v) { return to_bf16(v); });
    case Scalar::kFloat32:
      return dequantize_as(weights, static_cast<std::uint32_t*>(out), [](float v) { return to_f32(v); });
  }
  throw std::invalid_argument("nf4 scalar baseline: unknown output type");
}

}  // namespace assay::reference::nf4
