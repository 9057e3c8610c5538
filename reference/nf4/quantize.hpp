// SPDX-License-Identifier: Apache-2.0
// Quantization as bitsandbytes 0.50.2 does it, once as on its CPU path and once as on its CUDA path: they
// differ.
// clang-format off
//
// 4-bit, per block of `block_size` weights v (widened to f32 exactly). CPU: backends/default/ops.py quantize_4bit. CUDA:
// csrc/kernels.cu kQuantizeBlockwise*, built with --use_fast_math: every multiply and comparison flushes subnormals.
//
//   absmax            CPU   max|v|, NaN if any v is NaN
//                     CUDA  max|v| over what is not NaN, subnormals counting as 0
//   block of zeros    CPU   codes of the value 0
//                     CUDA  all codes 0, which is -1 in NF4: 0 * inf is NaN, and every comparison with it false
//   scaled x          CPU   v * (1 / max(absmax, 1e-38f))
//                     CUDA  v * r, r = rcp.approx.ftz(absmax)
//   last block, if    CPU   x = v / max(absmax, 1e-38f), and that maximum is the absmax stored
//   shorter           CUDA  as any other block
//   NF4 code          CPU   number of midpoints (code[i] + code[i + 1]) / 2 that are not >= x
//                     CUDA  number of kNf4CudaBound < x; four of these lie one ulp beside the midpoint
//   FP4 code          CPU   the same over ascending values: a tie goes to the smaller value, (0, 1/384] is code 8
//                     CUDA  |x| against kFp4CudaBound, sign x < 0: a tie goes to the smaller magnitude, [0, 1/384] is code 0
//   x is NaN          CPU   the last code in ascending order
//                     CUDA  code 0
//   spare nibble of   CPU   code of x = 0
//   an odd length     CUDA  code of 0 * r: of x = 0, or code 0 in a block of zeros
//
// 8-bit, per block of `nested_block_size` values v = absmax - offset (f32), ascending code table of 256. CPU:
// csrc/cpu_ops.cpp quantize_cpu. CUDA: csrc/kernels.cu dQuantize.
//
//   absmax            both  max|v| over what is not NaN; CUDA: subnormals counting as 0
//   block of zeros    both  all codes 0
//   scaled x          CPU   clamp(v * (1 / absmax), -1, 1)
//                     CUDA  v * rcp.approx.ftz(absmax)
//   code              CPU   x is cut to one of 65536 steps, k = trunc(fma((x + 1) * 0.5, 65535, 0.5)); the code is the
//                           number of midpoints < 2k / 65535 - 1
//                     CUDA  nearest by midpoints in f32; a tie goes to the even code
//   x is NaN          both  code 0
// clang-format on
#pragma once

#include <cstdint>

#include "reference/nf4/dequantize.hpp"

namespace assay::reference::nf4 {

struct QuantizeInput {
  const void* values = nullptr;  // [count] of `type`
  Scalar type = Scalar::kFloat32;
  std::int64_t count = 0;
  std::int32_t block_size = 64;
  Codebook codebook = Codebook::kNf4;
};

/// packed [ceil(count / 2)], absmax [ceil(count / block_size)].
void quantize_as_cpu(const QuantizeInput& in, std::uint8_t* packed, float* absmax);

/// `reciprocals`: what rcp.approx.ftz.f32 gives on the GPU in question for each block's absmax (its last bit
/// is the hardware's); null: 1 / absmax rounded to nearest, flushed, which may move weights that sit on a
/// decision bound.
void quantize_as_cuda(const QuantizeInput& in, const float* reciprocals, std::uint8_t* packed, float* absmax);

struct QuantizeAbsmaxInput {
  const float* absmax = nullptr;  // [count]
  std::int64_t count = 0;
  const float* code = nullptr;  // [256] ascending
  float offset = 0;
  std::int32_t block_size = 256;
};

/// codes [count], nested_absmax [ceil(count / block_size)].
void quantize_absmax_as_cpu(const QuantizeAbsmaxInput& in, std::uint8_t* codes, float* nested_absmax);
void quantize_absmax_as_cuda(const QuantizeAbsmaxInput& in, const float* reciprocals, std::uint8_t* codes,
                             float* nested_absmax);

/// Mean, summed in f64 in index order, rounded to f32 once. torch.mean has other bits: it sums f32 in an
/// order that depends on the number of threads (torch 2.11: 100000 values, 1 and 2 threads, two results).
float mean_absmax(const float* absmax, std::int64_t count);

}  // namespace assay::reference::nf4
