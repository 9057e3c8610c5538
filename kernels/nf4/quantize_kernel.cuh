// SPDX-License-Identifier: Apache-2.0
// Device code of the quantizer. Bit-exact to bitsandbytes 0.50 on CUDA, whose kernels are built with fast
// math: the reciprocal of absmax is rcp.approx.ftz, products and comparisons flush subnormals. Everything
// that rounds is therefore spelled in PTX here, so that our own build flags cannot change it.
//
// A group of up to 32 neighbouring lanes owns one block of weights: 8 weights a lane a step, absmax by
// shuffles, second pass over the same weights (from registers while a block fits 8 a lane, else from L1).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cfloat>
#include <cstdint>

#include "kernels/nf4/quantize.hpp"

namespace assay::kernels::nf4 {

__device__ __forceinline__ float reciprocal_approx(float x) {
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
__device__ __forceinline__ float multiply_ftz(float a, float b) {
  float r;
  asm("mul.rn.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
__device__ __forceinline__ float add_ftz(float a, float b) {
  float r;
  asm("add.rn.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
__device__ __forceinline__ float max_ftz(float a, float b) {
  float r;
  asm("max.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
/// a > b with subnormals as zero; false for NaN.
__device__ __forceinline__ bool greater_ftz(float a, float b) {
  std::uint32_t r;
  asm("{ .reg .pred p; setp.gt.ftz.f32 p, %1, %2; selp.u32 %0, 1, 0, p; }" : "=r"(r) : "f"(a), "f"(b));
  return r != 0;
}

template <class In>
__device__ __forceinline__ float to_float(In x) {
  if constexpr (sizeof(In) == 4) {
    return x;
  } else {
    return static_cast<float>(x);
  }
}

/// Number of thresholds below x (strictly): the NF4 code is that count, since its table ascends. NaN counts
/// none.
__device__ __forceinline__ std::uint32_t nf4_code(float x) {
  constexpr float kThresholds[15] = {-0.8480964004993439f,   -0.6106329262256622f,  -0.4599952697753906f,
                                     -0.33967943489551544f,  -0.23460740596055984f, -0.13791173323988914f,
                                     -0.045525018125772476f, 0.03979014977812767f,  0.1202552504837513f,
                                     0.2035212516784668f,    0.2920137718319893f,   0.3893125355243683f,
                                     0.5016634166240692f,    0.6427869200706482f,   0.8614784181118011f};
  std::uint32_t code = 0;
#pragma unroll
  for (int i = 0; i < 15; ++i) code += greater_ftz(x, kThresholds[i]);
  return code;
}

/// FP4: sign in bit 3, magnitude by thresholds whose codes are not in order of size.
__device__ __forceinline__ std::uint32_t fp4_code(float x) {
  const std::uint32_t sign = greater_ftz(0.0f, x) ? 8u : 0u;
  const float a = fabsf(x);
  std::uint32_t code = 0;
  if (greater_ftz(a, 0.00260417f))
    code = 1;
  if (greater_ftz(a, 0.0859375f))
    code = 6;
  if (greater_ftz(a, 0.20833333f))
    code = 7;
  if (greater_ftz(a, 0.29166667f))
    code = 4;
  if (greater_ftz(a, 0.4166667f))
    code = 5;
  if (greater_ftz(a, 0.583333f))
    code = 2;
  if (greater_ftz(a, 0.8333333f))
    code = 3;
  return sign | code;
}

struct DeviceQuantize {
  const void* in;
  std::int64_t num_weights;
  int block_size;
  int lanes;  // of a group: min(32, block_size / 8)
  bool fp4;
  std::uint8_t* packed;
  float* absmax;
};

template <class In>
__device__ __forceinline__ void load_eight(const In* in, std::int64_t i, std::int64_t n, float (&x)[8]) {
#pragma unroll
  for (int j = 0; j < 8; ++j) x[j] = i + j < n ? to_float(in[i + j]) : 0.0f;
}

template <class In>
__global__ void __launch_bounds__(256) quantize_kernel(const __grid_constant__ DeviceQuantize p) {
  const auto* in = static_cast<const In*>(p.in);
  const int groups = 256 / p.lanes;
  const int lane = static_cast<int>(threadIdx.x) % p.lanes;
  const std::int64_t block = std::int64_t{blockIdx.x} * groups + threadIdx.x / p.lanes;
  const std::int64_t begin = block * p.block_size;
  const std::int64_t end = min(begin + p.block_size, p.num_weights);

  // absmax of the block; lanes past the end take part in the shuffles with the neutral value.
  float largest = -FLT_MAX;
  float x[8];
  for (std::int64_t i = begin + lane * 8; i < begin + p.block_size; i += p.lanes * 8) {
    load_eight(in, i, end, x);
#pragma unroll
    for (int j = 0; j < 8; ++j) largest = max_ftz(largest, fabsf(x[j]));
  }
  for (int step = p.lanes / 2; step > 0; step /= 2) {
    largest = max_ftz(largest, __shfl_xor_sync(0xffffffffu, largest, step));
  }
  if (begin >= p.num_weights)
    return;
  if (lane == 0)
    p.absmax[block] = largest;

  // Codes, two a byte, four bytes a lane.
  const float inverse = reciprocal_approx(largest);
  const bool one_step = p.lanes * 8 == p.block_size;
  for (std::int64_t i = begin + lane * 8; i < end; i += p.lanes * 8) {
    if (!one_step)
      load_eight(in, i, end, x);
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      const float high = multiply_ftz(x[j], inverse), low = multiply_ftz(x[j + 1], inverse);
      const std::uint32_t byte =
          p.fp4 ? fp4_code(high) << 4 | fp4_code(low) : nf4_code(high) << 4 | nf4_code(low);
      if (i + j < end)
        p.packed[(i + j) / 2] = static_cast<std::uint8_t>(byte);
    }
  }
}

/// Nearest entry of an ascending 256-entry map as bitsandbytes searches it: seven halvings from entry 127,
/// then the midpoint with the neighbour on the side of x.
__device__ __forceinline__ std::uint8_t nearest_code(const float* code, float x) {
  int pivot = 127, upper_pivot = 255, lower_pivot = 0;
  float lower = -1.0f, upper = 1.0f, entry = code[pivot];
  for (int step = 64; step > 0; step /= 2) {
    if (greater_ftz(x, entry)) {
      lower_pivot = pivot, lower = entry, pivot += step;
    } else {
      upper_pivot = pivot, upper = entry, pivot -= step;
    }
    entry = code[pivot];
  }
  if (upper_pivot == 255)
    upper = code[255];
  if (lower_pivot == 0)
    lower = code[0];
  if (greater_ftz(x, entry)) {
    const float midpoint = multiply_ftz(add_ftz(upper, entry), 0.5f);
    return static_cast<std::uint8_t>(greater_ftz(x, midpoint) ? upper_pivot : pivot);
  }
  const float midpoint = multiply_ftz(add_ftz(lower, entry), 0.5f);
  return static_cast<std::uint8_t>(greater_ftz(midpoint, x) ? lower_pivot : pivot);
}

/// One warp a block of statistics; offset is subtracted first (its own rounding, as torch does it).
__global__ void __launch_bounds__(256) quantize_absmax_kernel(const __grid_constant__ QuantizeAbsmaxArgs p) {
  __shared__ float code[256];
  code[threadIdx.x] = p.nested_code[threadIdx.x];
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t block = std::int64_t{blockIdx.x} * 8 + threadIdx.x / 32;
  const std::int64_t begin = block * p.nested_block_size;
  if (begin >= p.num_blocks)
    return;
  const std::int64_t end = min(begin + p.nested_block_size, p.num_blocks);
  const float offset = *p.offset;
  float largest = -FLT_MAX;
  for (std::int64_t i = begin + lane; i < begin + p.nested_block_size; i += 32) {
    largest = max_ftz(largest, i < end ? fabsf(__fsub_rn(p.absmax[i], offset)) : 0.0f);
  }
  for (int step = 16; step > 0; step /= 2)
    largest = max_ftz(largest, __shfl_xor_sync(0xffffffffu, largest, step));
  if (lane == 0)
    p.nested_absmax[block] = largest;
  const float inverse = reciprocal_approx(largest);
  for (std::int64_t i = begin + lane; i < end; i += 32) {
    p.absmax_codes[i] = nearest_code(code, multiply_ftz(__fsub_rn(p.absmax[i], offset), inverse));
  }
}

/// One block: f64 partial sums in a fixed order, one rounding at the end.
__global__ void __launch_bounds__(1024)
    mean_absmax_kernel(const float* absmax, std::int64_t count, float* offset) {
  __shared__ double partial[32];
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < count; i += 1024) sum += absmax[i];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffffu, sum, step);
  if (threadIdx.x % 32 == 0)
    partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = partial[threadIdx.x];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffffu, sum, step);
    if (threadIdx.x == 0)
      *offset = static_cast<float>(sum / static_cast<double>(count));
  }
}

}  // namespace assay::kernels::nf4
