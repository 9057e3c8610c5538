// SPDX-License-Identifier: Apache-2.0
// Everything of the matmul kernels that speaks to the machine. Tests on a CPU put another file of this name
// in its place.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/common/ptx.cuh"

namespace assay::kernels::nf4::device {

#define ASSAY_INLINE __device__ __forceinline__

ASSAY_INLINE char* shared_memory() {
  extern __shared__ __align__(1024) char bytes[];
  return bytes;
}
ASSAY_INLINE unsigned thread_index() {
  return threadIdx.x;
}
ASSAY_INLINE unsigned block_index() {
  return blockIdx.x;
}
ASSAY_INLINE unsigned grid_blocks() {
  return gridDim.x;
}
ASSAY_INLINE void wait_for_block() {
  __syncthreads();
}
ASSAY_INLINE void wait_for_previous_grid() {
  ptx::wait_for_previous_grid();
}
ASSAY_INLINE void allow_next_grid() {
  ptx::allow_next_grid();
}
ASSAY_INLINE float shuffle(float value, unsigned from_lane) {
  return __shfl_sync(0xffffffffu, value, static_cast<int>(from_lane));
}

/// Weights are read once: their lines do not stay in L1 and leave L2 first.
ASSAY_INLINE std::uint64_t streaming_policy() {
  return ptx::evict_first_policy();
}
/// Zeros where `valid` is false, without a read and without a branch.
ASSAY_INLINE uint2 stream8(const void* p, bool valid, std::uint64_t policy) {
  uint2 v{};
#ifdef ASSAY_PTX_L2_POLICY
  asm volatile(
      "{ .reg .pred q; setp.ne.b32 q, %2, 0;\n"
      "@q ld.global.nc.L1::no_allocate.L2::cache_hint.v2.b32 {%0, %1}, [%3], %4; }"
      : "+r"(v.x), "+r"(v.y)
      : "r"(static_cast<int>(valid)), "l"(p), "l"(policy));
#else
  asm volatile(
      "{ .reg .pred q; setp.ne.b32 q, %2, 0;\n"
      "@q ld.global.nc.L1::no_allocate.v2.b32 {%0, %1}, [%3]; }"
      : "+r"(v.x), "+r"(v.y)
      : "r"(static_cast<int>(valid)), "l"(p));
#endif
  return v;
}
ASSAY_INLINE uint4 stream16(const void* p, bool valid, std::uint64_t policy) {
  uint4 v{};
#ifdef ASSAY_PTX_L2_POLICY
  asm volatile(
      "{ .reg .pred q; setp.ne.b32 q, %4, 0;\n"
      "@q ld.global.nc.L1::no_allocate.L2::cache_hint.v4.b32 {%0, %1, %2, %3}, [%5], %6; }"
      : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w)
      : "r"(static_cast<int>(valid)), "l"(p), "l"(policy));
#else
  asm volatile(
      "{ .reg .pred q; setp.ne.b32 q, %4, 0;\n"
      "@q ld.global.nc.L1::no_allocate.v4.b32 {%0, %1, %2, %3}, [%5]; }"
      : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w)
      : "r"(static_cast<int>(valid)), "l"(p));
#endif
  return v;
}
/// Of memory that an earlier kernel wrote: not through the read-only path, so never before
/// wait_for_previous_grid().
ASSAY_INLINE uint4 load16(const void* p, bool valid) {
  uint4 v{};
  asm volatile(
      "{ .reg .pred q; setp.ne.b32 q, %4, 0;\n"
      "@q ld.global.v4.b32 {%0, %1, %2, %3}, [%5]; }"
      : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w)
      : "r"(static_cast<int>(valid)), "l"(p));
  return v;
}

/// Places in shared memory as the machine numbers them.
ASSAY_INLINE std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}
ASSAY_INLINE std::uint32_t load_shared(std::uint32_t address) {
  std::uint32_t v;
  asm("ld.shared.b32 %0, [%1];" : "=r"(v) : "r"(address));
  return v;
}
/// Byte `i` of a word.
template <int i>
ASSAY_INLINE std::uint32_t byte_of(std::uint32_t word) {
  return __byte_perm(word, 0, 0x4440 | i);
}

/// Small, shared and read again: statistics stay in L1 and L2.
ASSAY_INLINE std::uint32_t load_statistic(const std::uint8_t* p) {
  return ptx::load_cached(p);
}
ASSAY_INLINE float load_statistic(const float* p) {
  return ptx::load_cached(p);
}

/// Two separately rounded steps.
ASSAY_INLINE float multiply_then_add(float a, float b, float c) {
  return __fadd_rn(__fmul_rn(a, b), c);
}
ASSAY_INLINE float fused(float a, float b, float c) {
  return fmaf(a, b, c);
}

template <class T>
ASSAY_INLINE float widen(T x) {
  return static_cast<float>(x);
}
template <class T>
ASSAY_INLINE T narrow(float x);
template <>
ASSAY_INLINE float narrow<float>(float x) {
  return x;
}
template <>
ASSAY_INLINE __half narrow<__half>(float x) {
  return __float2half_rn(x);
}
template <>
ASSAY_INLINE __nv_bfloat16 narrow<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

/// c[16×8] += a[16×16] · b[16×8], f32 sums. sm_75 knows only depth 8, and no bf16.
template <class T>
ASSAY_INLINE void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                               std::uint32_t b1);
template <>
ASSAY_INLINE void multiply_add<__half>(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                       std::uint32_t b1) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(b0));
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}
template <>
ASSAY_INLINE void multiply_add<__nv_bfloat16>(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                              std::uint32_t b1) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  __trap();  // the launcher never comes here: fits_matrix_kernel
#endif
}

}  // namespace assay::kernels::nf4::device
