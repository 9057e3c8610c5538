// SPDX-License-Identifier: Apache-2.0
// 16- and 32-bit weights to double-quantized NF4/FP4, bit-exact to bitsandbytes 0.50: step by step, so that a caller may
// supply the offset (a mean over all absmax, whose bits depend on the order of summation) from wherever it must agree with.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "kernels/nf4/format.hpp"

namespace assay::kernels::nf4 {

struct QuantizeArgs {
  const void* in = nullptr;        ///< [num_weights] of `in_type`
  ScalarType in_type = ScalarType::kFloat32;
  std::int64_t num_weights = 0;
  std::int32_t block_size = 64;
  Codebook codebook = Codebook::kNf4;
  std::uint8_t* packed = nullptr;  ///< out [ceil(num_weights / 2)]; the spare nibble of an odd length as bitsandbytes leaves it
  float* absmax = nullptr;         ///< out [num_blocks]
};

/// Second level: codes of (absmax - offset) in the signed dynamic 8-bit map, per block of 256.
struct QuantizeAbsmaxArgs {
  const float* absmax = nullptr;         ///< [num_blocks]
  std::int64_t num_blocks = 0;
  const float* nested_code = nullptr;    ///< [256], ascending
  const float* offset = nullptr;         ///< [1]
  std::int32_t nested_block_size = 256;
  std::uint8_t* absmax_codes = nullptr;  ///< out [num_blocks]
  float* nested_absmax = nullptr;        ///< out [ceil(num_blocks / nested_block_size)]
};

/// Throw std::invalid_argument saying what was expected and found.
void validate(const QuantizeArgs& args);
void validate(const QuantizeAbsmaxArgs& args);

/// GPU: enqueue on `stream`, allocate nothing, synchronise nothing. Device pointers.
void quantize(const QuantizeArgs& args, cudaStream_t stream);
void quantize_absmax(const QuantizeAbsmaxArgs& args, cudaStream_t stream);
/// Mean of `count` f32 accumulated in f64 in a fixed order and rounded once: deterministic, but not the bits of torch.mean.
void mean_absmax(const float* absmax, std::int64_t count, float* offset, cudaStream_t stream);

/// CPU: the same with host pointers; bitsandbytes' CPU path, where it differs from its CUDA path (docs/nf4_dequantize.md).
void quantize_cpu(const QuantizeArgs& args, int num_threads = 0);
/// On one of cpu_instruction_sets() (dequantize_cpu.hpp); tests run all of them.
void quantize_cpu_on(const std::string& instruction_set, const QuantizeArgs& args, int num_threads = 0);
void quantize_absmax_cpu(const QuantizeAbsmaxArgs& args, int num_threads = 0);
void mean_absmax_cpu(const float* absmax, std::int64_t count, float* offset);

/// bitsandbytes' create_dynamic_map(signed=True): 256 ascending f32 (closed form in research; bits as torch makes them).
void dynamic_map(float* code256);

}  // namespace assay::kernels::nf4
