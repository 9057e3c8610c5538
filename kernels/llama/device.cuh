// SPDX-License-Identifier: Apache-2.0
// What the pointwise kernels ask of the machine. The emulated machine (emulated/) stands in for this header
// alone.
//
// Activations are loaded evict-first and past L1: a kernel reads each of them once, and what the next kernel
// of a layer reads is what this one wrote, so that is what L2 should keep. Never `nc`: outputs may lie over
// inputs.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/common/ptx.cuh"

namespace assay::kernels::llama::device {

/// For load_once(); lives in registers of the thread that made it.
__device__ __forceinline__ std::uint64_t once_policy() {
  return ptx::evict_first_policy();
}
__device__ __forceinline__ uint4 load_once(const void* p, [[maybe_unused]] std::uint64_t policy) {
  uint4 v;
#ifdef ASSAY_PTX_L2_POLICY
  asm volatile("ld.global.L1::no_allocate.L2::cache_hint.v4.b32 {%0, %1, %2, %3}, [%4], %5;"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p), "l"(policy)
               : "memory");
#else
  asm volatile("ld.global.L1::no_allocate.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p)
               : "memory");
#endif
  return v;
}
/// Read by every block and written by none: stays in L1.
__device__ __forceinline__ uint4 load_shared_by_rows(const void* p) {
  uint4 v;
  asm volatile("ld.global.nc.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}
__device__ __forceinline__ void store_vector(void* p, uint4 v) {
  ptx::store<ptx::Caching::kDefault>(p, v, 0);
}

__device__ __forceinline__ float as_float(std::uint32_t bits) {
  return __uint_as_float(bits);
}
__device__ __forceinline__ std::uint32_t as_bits(float x) {
  return __float_as_uint(x);
}
__device__ __forceinline__ float shuffle_xor(float x, int distance) {
  return __shfl_xor_sync(0xffffffffu, x, distance);
}
/// 1 / √x, correctly rounded.
__device__ __forceinline__ float inverse_square_root(float x) {
  return __frsqrt_rn(x);
}
/// 1 / x within 1 unit in the last place.
__device__ __forceinline__ float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// sin and cos of half_turns · π.
__device__ __forceinline__ void sine_and_cosine(float half_turns, float& sine, float& cosine) {
  sincospif(half_turns, &sine, &cosine);
}

/// All shared memory of a block is dynamic; this is its start, aligned to 16 bytes.
__device__ __forceinline__ float* shared_floats() {
  extern __shared__ uint4 pointwise_shared_memory[];
  return reinterpret_cast<float*>(pointwise_shared_memory);
}

}  // namespace assay::kernels::llama::device
