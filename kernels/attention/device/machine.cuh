// SPDX-License-Identifier: Apache-2.0
// Everything of the attention kernels that speaks to the machine: matrix instructions, asynchronous copies,
// packed conversions, fast functions. Tests on a CPU put another file of this name in its place. Compiled by
// NVRTC, without any header of CUDA.
#pragma once

namespace assay::kernels::attention::device {

#define ASSAY_INLINE __device__ __forceinline__

struct Half {};
struct Bfloat16 {};

struct alignas(16) Vector {
  unsigned x, y, z, w;
};

ASSAY_INLINE char* shared_memory() {
  extern __shared__ __align__(1024) char bytes[];
  return bytes;
}
ASSAY_INLINE unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}
ASSAY_INLINE int thread_index() {
  return static_cast<int>(threadIdx.x);
}
ASSAY_INLINE int lane_index() {
  return static_cast<int>(threadIdx.x % 32);
}
ASSAY_INLINE int block_index() {
  return static_cast<int>(blockIdx.x);
}
ASSAY_INLINE int block_threads() {
  return static_cast<int>(blockDim.x);
}
ASSAY_INLINE void wait_for_block() {
  __syncthreads();
}
ASSAY_INLINE void wait_for_warp() {
  __syncwarp();
}
ASSAY_INLINE int wait_for_block_any(int predicate) {
  return __syncthreads_or(predicate);
}
ASSAY_INLINE float shuffle_xor(float value, int distance) {
  return __shfl_xor_sync(0xffffffffu, value, distance);
}
ASSAY_INLINE unsigned ballot(bool predicate) {
  return __ballot_sync(0xffffffffu, predicate);
}
ASSAY_INLINE int count_bits(unsigned x) {
  return __popc(x);
}
ASSAY_INLINE long long shuffle_first(long long value) {
  return __shfl_sync(0xffffffffu, value, 0);
}
ASSAY_INLINE void stop_with_error() {
  __trap();
}

/// Four 8×8 matrices of 16-bit elements, a row of 16 bytes from each lane.
ASSAY_INLINE void load_matrices(unsigned (&r)[4], const char* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
ASSAY_INLINE void load_matrices_transposed(unsigned (&r)[4], const char* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/// c[16×8] += a[16×16] · b[16×8], f32 sums. sm_75 knows only depth 8, and no bf16.
template <class Element>
ASSAY_INLINE void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);

template <>
ASSAY_INLINE void multiply_add<Half>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(b0));
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}
#if __CUDA_ARCH__ >= 800
template <>
ASSAY_INLINE void multiply_add<Bfloat16>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

/// 16 bytes from global to shared memory; zeros where `valid` is false, without a read. Done after
/// wait_for_copies.
ASSAY_INLINE void copy16(char* to, const char* from, bool valid) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
#else
  *reinterpret_cast<Vector*>(to) = valid ? *reinterpret_cast<const Vector*>(from) : Vector{};
#endif
}
ASSAY_INLINE void copy4(float* to, const float* from, bool valid) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(valid ? 4 : 0)
               : "memory");
#else
  *to = valid ? *from : 0.0f;
#endif
}
ASSAY_INLINE void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Waits for this thread's copies, up to the `kPending` groups committed last.
template <int kPending>
ASSAY_INLINE void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

ASSAY_INLINE float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
ASSAY_INLINE float log2_approx(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
ASSAY_INLINE float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
ASSAY_INLINE float rsqrt_approx(float x) {
  float y;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/// One instruction, relative error up to 2^-11.
ASSAY_INLINE float tanh_one_instruction(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
ASSAY_INLINE float larger(float a, float b) {
  return fmaxf(a, b);
}
ASSAY_INLINE float fused(float a, float b, float c) {
  return fmaf(a, b, c);
}
ASSAY_INLINE float infinity() {
  return __int_as_float(0x7f800000);
}

/// Two f32 rounded to nearest even, `low` in the low half.
template <class Element>
ASSAY_INLINE unsigned pack(float low, float high);
template <>
ASSAY_INLINE unsigned pack<Half>(float low, float high) {
#if __CUDA_ARCH__ >= 800
  unsigned r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
#else
  unsigned short l, h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(l) : "f"(low));
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(high));
  return l | static_cast<unsigned>(h) << 16;
#endif
}
#if __CUDA_ARCH__ >= 800
template <>
ASSAY_INLINE unsigned pack<Bfloat16>(float low, float high) {
  unsigned r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
#endif

template <class Element>
ASSAY_INLINE float unpack(unsigned short bits);
template <>
ASSAY_INLINE float unpack<Half>(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
template <>
ASSAY_INLINE float unpack<Bfloat16>(unsigned short bits) {
  return __uint_as_float(static_cast<unsigned>(bits) << 16);
}

/// To the nearest, at the ends of 64 bits where it does not fit.
ASSAY_INLINE long long to_fixed(float x) {
  return __float2ll_rn(x);
}
ASSAY_INLINE float from_fixed(unsigned long long x, float one) {
  return __ll2float_rn(static_cast<long long>(x)) / one;
}
ASSAY_INLINE void add_to(float* at, float value) {
  atomicAdd(at, value);
}
ASSAY_INLINE void add_to(unsigned long long* at, long long value) {
  atomicAdd(at, static_cast<unsigned long long>(value));
}

}  // namespace assay::kernels::attention::device
