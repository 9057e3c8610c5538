// SPDX-License-Identifier: Apache-2.0
// 4-bit block-quantized weights exactly as bitsandbytes keeps them, on the host or on the device.
//
// Weight i (row-major, rows do not matter) is a nibble of packed[i / 2], the high one for even i. Its value is
//   w[i] = round_T( code[nibble(i)] * a[i / block_size] )                          one rounding to the output type T
// with a the absmax of its block: given as f32 (single level), or nested:
//   a[b] = fl( fl( nested_code[absmax_codes[b]] * nested_absmax[b / nested_block_size] ) + nested_offset )
// where fl is rounding to f32, so no fused multiply-add. Source: bitsandbytes csrc/kernels.cu kDequantizeBlockwise and
// functional.py dequantize_4bit, 0.50; Unsloth kernels/utils.py fast_dequantize.
#pragma once

#include <cstdint>
#include <span>

namespace assay::kernels::nf4 {

enum class Codebook : std::uint8_t { kNf4, kFp4 };
enum class ScalarType : std::uint8_t { kFloat16, kBfloat16, kFloat32 };

/// The f32 value of each 4-bit code. FP4's code 8 is -0, as bitsandbytes has it on CUDA (its CPU path: +0 or -0 by shape).
std::span<const float, 16> code_table(Codebook codebook);

/// Does not own what it points to. Exactly one of `absmax` and `absmax_codes` is set.
struct PackedWeights {
  const std::uint8_t* packed = nullptr;        ///< [ceil(num_weights / 2)]
  std::int64_t num_weights = 0;                ///< any length >= 0, beyond 2^31 too
  std::int32_t block_size = 64;                ///< weights per absmax: a power of two, 32 to 4096
  Codebook codebook = Codebook::kNf4;

  const float* absmax = nullptr;               ///< single level: [num_blocks()]

  const std::uint8_t* absmax_codes = nullptr;  ///< nested: [num_blocks()]
  const float* nested_absmax = nullptr;        ///< [ceil(num_blocks() / nested_block_size)]
  const float* nested_code = nullptr;          ///< [256]
  const float* nested_offset = nullptr;        ///< [1]; on the device for device calls, so no copy synchronises
  std::int32_t nested_block_size = 256;        ///< a power of two

  std::int64_t num_blocks() const { return (num_weights + block_size - 1) / block_size; }
  bool nested() const { return absmax_codes != nullptr; }
};

/// Throws std::invalid_argument saying what was expected and found: null or doubly given pointers, block sizes that are
/// no power of two in range, negative length, misaligned f32 pointers.
void validate(const PackedWeights& weights);

}  // namespace assay::kernels::nf4
