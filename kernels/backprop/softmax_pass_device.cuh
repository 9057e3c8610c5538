// SPDX-License-Identifier: Apache-2.0
// What the softmax kernels ask of the machine: 16-byte loads and stores with a cache policy, powers of two,
// the memory of a block and of its cluster. Rows are overwritten while the kernel runs, so loads of them are
// never `nc`.
#pragma once

#include <cstdint>

#include "kernels/common/ptx.cuh"

namespace assay::kernels::backprop::device {

/// kKeep: will be read again soon. kLast: read or written for the last time, first to leave L2.
enum class Use { kDefault, kKeep, kLast };

/// The policy words live in registers of the thread that made them.
template <Use kUse>
__device__ __forceinline__ std::uint64_t policy() {
  std::uint64_t word = 0;
#ifdef ASSAY_PTX_L2_POLICY
  if constexpr (kUse == Use::kKeep)
    asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(word));
  else if constexpr (kUse == Use::kLast)
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(word));
#endif
  return word;
}

__device__ __forceinline__ uint4 load_vector(const void* p, [[maybe_unused]] std::uint64_t policy) {
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

template <Use kUse>
__device__ __forceinline__ void store_vector(void* p, uint4 v, std::uint64_t policy) {
  ptx::store<kUse == Use::kLast ? ptx::Caching::kStream : ptx::Caching::kDefault>(p, v, policy);
}

/// 2^x within 2 units in the last place over the whole range; subnormal results are 0.
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 1 / x within 1 unit in the last place.
__device__ __forceinline__ float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// All shared memory of a block is dynamic; this is its start, aligned to 16 bytes.
__device__ __forceinline__ char* shared_memory() {
  extern __shared__ uint4 dynamic_shared_memory[];
  return reinterpret_cast<char*>(dynamic_shared_memory);
}

// Clusters, sm_90+. The host launches kernels that use them only where they exist; elsewhere they trap.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
__device__ __forceinline__ int cluster_rank() {
  std::uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}
__device__ __forceinline__ int cluster_size() {
  std::uint32_t size;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return static_cast<int>(size);
}
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}
/// 16 bytes at the same place of another block's shared memory.
__device__ __forceinline__ float4 load_from_rank(const void* mine, int rank) {
  std::uint32_t address;
  float4 v;
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(address)
      : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(mine))), "r"(rank));
  asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(address)
               : "memory");
  return v;
}
#else
__device__ __forceinline__ int cluster_rank() {
  __trap();
  return 0;
}
__device__ __forceinline__ int cluster_size() {
  return 1;
}
__device__ __forceinline__ void cluster_arrive() {}
__device__ __forceinline__ void cluster_wait() {}
__device__ __forceinline__ float4 load_from_rank(const void*, int) {
  return {};
}
#endif

}  // namespace assay::kernels::backprop::device
