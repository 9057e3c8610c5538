// SPDX-License-Identifier: Apache-2.0
// Thin names for the PTX the kernels use: loads and stores with a cache policy, packed conversions, dependent
// launch. Volatile, so that none of them moves across wait_for_previous_grid().
#pragma once

#include <cstdint>

namespace assay::kernels::ptx {

/// A line read once should be the first to leave L2: kDefault keeps the hardware's choice.
enum class Caching { kDefault, kStream };

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define ASSAY_PTX_L2_POLICY 1
#endif

__device__ __forceinline__ std::uint64_t evict_first_policy() {
  std::uint64_t policy = 0;
#ifdef ASSAY_PTX_L2_POLICY
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
#endif
  return policy;
}

template <Caching kCaching>
__device__ __forceinline__ std::uint32_t load(const std::uint32_t* p, std::uint64_t policy) {
  std::uint32_t v;
  if constexpr (kCaching == Caching::kDefault) {
    asm volatile("ld.global.nc.b32 %0, [%1];" : "=r"(v) : "l"(p));
  } else {
#ifdef ASSAY_PTX_L2_POLICY
    asm volatile("ld.global.nc.L1::no_allocate.L2::cache_hint.b32 %0, [%1], %2;"
                 : "=r"(v)
                 : "l"(p), "l"(policy));
#else
    asm volatile("ld.global.nc.L1::no_allocate.b32 %0, [%1];" : "=r"(v) : "l"(p));
#endif
  }
  return v;
}

template <Caching kCaching>
__device__ __forceinline__ std::uint32_t load(const std::uint16_t* p, std::uint64_t policy) {
  std::uint16_t v;
  if constexpr (kCaching == Caching::kDefault) {
    asm volatile("ld.global.nc.u16 %0, [%1];" : "=h"(v) : "l"(p));
  } else {
#ifdef ASSAY_PTX_L2_POLICY
    asm volatile("ld.global.nc.L1::no_allocate.L2::cache_hint.u16 %0, [%1], %2;"
                 : "=h"(v)
                 : "l"(p), "l"(policy));
#else
    asm volatile("ld.global.nc.L1::no_allocate.u16 %0, [%1];" : "=h"(v) : "l"(p));
#endif
  }
  return v;
}

/// Small, shared and re-read: statistics stay in L1 and L2.
__device__ __forceinline__ std::uint32_t load_cached(const std::uint8_t* p) {
  std::uint32_t v;
  asm volatile("ld.global.nc.u8 %0, [%1];" : "=r"(v) : "l"(p));
  return v;
}
__device__ __forceinline__ float load_cached(const float* p) {
  float v;
  asm volatile("ld.global.nc.f32 %0, [%1];" : "=f"(v) : "l"(p));
  return v;
}

template <Caching kCaching>
__device__ __forceinline__ void store(void* p, uint4 v, std::uint64_t policy) {
  if constexpr (kCaching == Caching::kDefault) {
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                 : "memory");
  } else {
#ifdef ASSAY_PTX_L2_POLICY
    asm volatile("st.global.L1::no_allocate.L2::cache_hint.v4.b32 [%0], {%1, %2, %3, %4}, %5;" ::"l"(p),
                 "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w), "l"(policy)
                 : "memory");
#else
    asm volatile("st.global.cs.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(v.x), "r"(v.y), "r"(v.z),
                 "r"(v.w)
                 : "memory");
#endif
  }
}

/// Brings the line of `p` into L2, the point of coherence: a hint without effect on results, so it may run
/// before wait_for_previous_grid() even for data which that grid still writes.
__device__ __forceinline__ void prefetch_to_l2(const void* p) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
}

/// The same for `bytes` bytes from `p` on, by the bulk copy engine: one instruction, one thread (sm_90+,
/// elsewhere nothing). p and bytes: multiples of 16, bytes at least 16.
__device__ __forceinline__ void bulk_prefetch_to_l2(const void* p, std::uint32_t bytes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(p), "r"(bytes));
#endif
}

__device__ __forceinline__ float multiply_rn(float a, float b) {
  float v;
  asm("mul.rn.f32 %0, %1, %2;" : "=f"(v) : "f"(a), "f"(b));
  return v;
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
inline constexpr bool kDependentLaunch = true;
#else
inline constexpr bool kDependentLaunch = false;
#endif

/// Programmatic dependent launch (sm_90+): lets the next grid of the stream start its prologue, and waits
/// until the previous grid has finished and its writes are visible. Nothing that another grid may write is
/// touched before the wait.
__device__ __forceinline__ void allow_next_grid() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
__device__ __forceinline__ void wait_for_previous_grid() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

}  // namespace assay::kernels::ptx
