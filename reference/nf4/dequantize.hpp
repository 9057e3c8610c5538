// SPDX-License-Identifier: Apache-2.0
// 4-bit weights back to numbers, plainly: the f64 truth, the exact bits, and the scalar loop that speedups on
// a CPU are measured against. Weight i, with b = i / block_size its block and c its nibble (the high one of a
// byte comes first):
//   a[b] = absmax[b]                                                              single level
//   a[b] = nested_code[absmax_codes[b]] * nested_absmax[b / nested_block_size] + nested_offset      nested
//   w[i] = code[c] * a[b]
// Truth evaluates that in f64. Exact rounds every multiply and add to f32 on its own and the weight once more
// to the output type, all to nearest even, as bitsandbytes does (csrc/kernels.cu, 0.50; functional.py
// dequantize_4bit).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace assay::reference::nf4 {

enum class Codebook { kNf4, kFp4 };
enum class Scalar { kFloat16, kBfloat16, kFloat32 };

std::size_t size_of(Scalar type);

/// Does not own what it points to; host memory. Nested when `absmax_codes` is set, else single level.
struct QuantizedWeights {
  const std::uint8_t* packed = nullptr;  // [ceil(count / 2)]
  std::int64_t count = 0;
  std::int32_t block_size = 64;
  Codebook codebook = Codebook::kNf4;
  const float* absmax = nullptr;               // [ceil(count / block_size)]
  const std::uint8_t* absmax_codes = nullptr;  // [ceil(count / block_size)]
  const float* nested_absmax = nullptr;        // [ceil(blocks / nested_block_size)]
  const float* nested_code = nullptr;          // [256]
  const float* nested_offset = nullptr;        // [1]
  std::int32_t nested_block_size = 256;
};

/// out[k] = truth of weight begin + k. Any range inside [0, count); thread-safe.
void truth(const QuantizedWeights& weights, std::int64_t begin, std::span<double> out);

/// Expected bytes of weights [begin, begin + count) as `type`; `out` is aligned to its element. NaN is
/// canonical (rounding.hpp). Any range inside [0, weights.count); thread-safe.
void exact(const QuantizedWeights& weights, Scalar type, std::int64_t begin, std::int64_t count,
           std::byte* out);

/// The baseline: all weights, one thread, one plain loop over blocks. Same bits as `exact`.
void dequantize_scalar(const QuantizedWeights& weights, Scalar type, void* out);

}  // namespace assay::reference::nf4
