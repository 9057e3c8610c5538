// SPDX-License-Identifier: Apache-2.0
// Quantization as bitsandbytes 0.50.2 does it, once as on its CPU path and once as on its CUDA path: they
// differ.
//
// 4-bit, per block of `block_size` weights v (f32 after an exact widening), code and spare nibble of an odd
// length:
//                      CPU (backends/default/ops.py quantize_4bit)   CUDA (csrc/kernels.cu
//                      kQuantizeBlockwise*)
//   absmax             max|v|, NaN if any v is NaN                   max|v| over what is not NaN; subnormals
//   are 0 a block of zeros   absmax 0, codes of 0                          absmax 0, all codes 0 (0 * inf =
//   NaN, which decides
//                                                                    every comparison against it): -1 in NF4
//   scaled x           v * (1 / max(absmax, 1e-38f))                 v * r, r = rcp.approx.ftz(absmax)
//   … in the last,     v / absmax; absmax itself at least 1e-38f     as in any other block
//     shorter block
//   NF4 code           number of midpoints not >= x                  number of kNf4CudaBound < x (four differ
//   by an ulp) FP4 code           the same over ascending values, so ties go    by |x| against kFp4CudaBound,
//   sign x < 0, so ties go
//                      to the smaller value; (0, 1/384] is code 8    to the smaller magnitude; [0, 1/384] is
//                      code 0
//   NaN                the last code of the ascending order          code 0
//   spare nibble       code of x = 0                                 code of x = 0 (code 0 in a block of
//   zeros) subnormals         kept                                          flushed to 0 in every multiply
//   and comparison: the
//                                                                    library is built with --use_fast_math
//
// 8-bit, per block of `nested_block_size` values v = absmax - offset (f32), ascending code table of 256:
//                      CPU (csrc/cpu_ops.cpp quantize_cpu)           CUDA (csrc/kernels.cu dQuantize)
//   absmax             max|v| over what is not NaN                   the same, subnormals 0
//   a block of zeros   all codes 0                                   all codes 0 (NaN)
//   scaled x           clamp(v * (1 / absmax), -1, 1)                v * rcp.approx.ftz(absmax)
//   code               x is first cut to one of 65536 steps,         nearest by f32 midpoints, a tie goes to
//   the even
//                      k = trunc(fma((x + 1) * 0.5, 65535, 0.5)),    code
//                      then number of midpoints < 2k / 65535 - 1
//   NaN                code of k = 0, which is 0                     0
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
