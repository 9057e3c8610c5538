// SPDX-License-Identifier: Apache-2.0
// What sm_90a adds to machine.cuh: barriers in shared memory, the copy engine, products of warpgroups. Tests
// on a CPU put another file of this name in its place.
#pragma once

#include "kernels/attention/device/machine.cuh"
#include "kernels/attention/device/params.hpp"

namespace assay::kernels::attention::device {

using Barrier = unsigned long long;

ASSAY_INLINE void begin_barrier(Barrier* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals)
               : "memory");
}
/// Makes begun barriers known to the copy engine.
ASSAY_INLINE void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
ASSAY_INLINE void arrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
/// Arrives, and lets the phase wait for `bytes` from the copy engine too.
ASSAY_INLINE void arrive_expecting(Barrier* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(bytes)
               : "memory");
}
/// Until the phase of this parity is complete; the first is 0.
ASSAY_INLINE void wait_for(Barrier* barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

/// The map's box: rows of 64 elements (128 bytes, swizzled) by the copy engine; what lies outside the tensor
/// becomes zeros.
ASSAY_INLINE void copy_box(char* to, const TensorMap& map, Barrier* barrier, int column, int head, int row,
                           int sequence) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, "
      "%5, %6}], "
      "[%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(column), "r"(head), "r"(row), "r"(sequence)
      : "memory");
}
ASSAY_INLINE void prefetch_map(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
/// This thread's writes to shared memory become visible to products of warpgroups.
ASSAY_INLINE void publish_shared_writes() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

template <int kRegisters>
ASSAY_INLINE void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
ASSAY_INLINE void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// A warp's number that the compiler does not know to be the same in all lanes: what is made of it then stays
/// in uniform registers, where descriptors must be.
ASSAY_INLINE int uniform(int x) {
  return __shfl_sync(0xffffffffu, x, 0);
}

/// Barriers 1 to 15 of a block, of `threads` threads.
ASSAY_INLINE void meet(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
ASSAY_INLINE void announce(int barrier, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

ASSAY_INLINE void fence_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
ASSAY_INLINE void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kPending>
ASSAY_INLINE void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// Keeps the compiler from moving sums of running products.
template <int kParts>
ASSAY_INLINE void pin(float (&d)[kParts][4]) {
#pragma unroll
  for (int n = 0; n < kParts; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) asm volatile("" : "+f"(d[n][e])::"memory");
}

/// The same of factors in registers: all of them are written before the fence.
template <int kParts>
ASSAY_INLINE void pin(unsigned (&a)[kParts][4]) {
#pragma unroll
  for (int n = 0; n < kParts; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) asm volatile("" : "+r"(a[n][e])::"memory");
}

#define ASSAY_PART(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define ASSAY_NAMES_64                                                     \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define ASSAY_SUMS_64                                                                                      \
  ASSAY_PART(0), ASSAY_PART(1), ASSAY_PART(2), ASSAY_PART(3), ASSAY_PART(4), ASSAY_PART(5), ASSAY_PART(6), \
      ASSAY_PART(7)
#define ASSAY_NAMES_128                                                              \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define ASSAY_SUMS_128                                                                                     \
  ASSAY_PART(0), ASSAY_PART(1), ASSAY_PART(2), ASSAY_PART(3), ASSAY_PART(4), ASSAY_PART(5), ASSAY_PART(6), \
      ASSAY_PART(7), ASSAY_PART(8), ASSAY_PART(9), ASSAY_PART(10), ASSAY_PART(11), ASSAY_PART(12),         \
      ASSAY_PART(13), ASSAY_PART(14), ASSAY_PART(15)

/// d[64 × N] = a · b, or += where `accumulate`. Both in shared memory, the depth of 16 contiguous in both.
#define ASSAY_MULTIPLY_ROWS(columns, kA, kB, kAccumulate, type)                        \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #kAccumulate                       \
               ", 0;\n"                                                                \
               "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." type "." type   \
               " {" ASSAY_NAMES_##columns "}, %" #kA ", %" #kB ", p, 1, 1, 0, 0;\n}\n" \
               : ASSAY_SUMS_##columns                                                  \
               : "l"(a), "l"(b), "r"(accumulate))
/// The same with a in registers.
#define ASSAY_MULTIPLY_LEFT(columns, k0, k1, k2, k3, kB, kAccumulate, type)                    \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #kAccumulate                               \
               ", 0;\n"                                                                        \
               "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." type "." type           \
               " {" ASSAY_NAMES_##columns "}, {%" #k0 ", %" #k1 ", %" #k2 ", %" #k3 "}, %" #kB \
                                          ", p, 1, 1, 0;\n}\n"                                 \
               : ASSAY_SUMS_##columns                                                          \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate))
/// d += a · b. a in registers, rows of b the depth.
#define ASSAY_MULTIPLY_COLUMNS(columns, k0, k1, k2, k3, kB, type)                                      \
  asm volatile(                                                                                        \
      "{\n.reg .pred p;\nsetp.eq.b32 p, 0, 0;\n"                                                       \
      "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." type "." type " {" ASSAY_NAMES_##columns \
      "}, {%" #k0 ", %" #k1 ", %" #k2 ", %" #k3 "}, %" #kB ", p, 1, 1, 1;\n}\n"                        \
      : ASSAY_SUMS_##columns                                                                           \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))

template <class Element>
inline constexpr bool kIsHalf = false;
template <>
inline constexpr bool kIsHalf<Half> = true;

template <class Element>
ASSAY_INLINE void multiply_rows_async(float (&d)[16][4], unsigned long long a, unsigned long long b,
                                      int accumulate) {
  if constexpr (kIsHalf<Element>)
    ASSAY_MULTIPLY_ROWS(128, 64, 65, 66, "f16");
  else
    ASSAY_MULTIPLY_ROWS(128, 64, 65, 66, "bf16");
}
template <class Element>
ASSAY_INLINE void multiply_rows_async(float (&d)[8][4], unsigned long long a, unsigned long long b,
                                      int accumulate) {
  if constexpr (kIsHalf<Element>)
    ASSAY_MULTIPLY_ROWS(64, 32, 33, 34, "f16");
  else
    ASSAY_MULTIPLY_ROWS(64, 32, 33, 34, "bf16");
}
template <class Element>
ASSAY_INLINE void multiply_rows_async(float (&d)[8][4], const unsigned (&a)[4], unsigned long long b,
                                      int accumulate) {
  if constexpr (kIsHalf<Element>)
    ASSAY_MULTIPLY_LEFT(64, 32, 33, 34, 35, 36, 37, "f16");
  else
    ASSAY_MULTIPLY_LEFT(64, 32, 33, 34, 35, 36, 37, "bf16");
}
template <class Element>
ASSAY_INLINE void multiply_columns_async(float (&d)[16][4], const unsigned (&a)[4], unsigned long long b) {
  if constexpr (kIsHalf<Element>)
    ASSAY_MULTIPLY_COLUMNS(128, 64, 65, 66, 67, 68, "f16");
  else
    ASSAY_MULTIPLY_COLUMNS(128, 64, 65, 66, 67, 68, "bf16");
}
template <class Element>
ASSAY_INLINE void multiply_columns_async(float (&d)[8][4], const unsigned (&a)[4], unsigned long long b) {
  if constexpr (kIsHalf<Element>)
    ASSAY_MULTIPLY_COLUMNS(64, 32, 33, 34, 35, 36, "f16");
  else
    ASSAY_MULTIPLY_COLUMNS(64, 32, 33, 34, 35, 36, "bf16");
}
#undef ASSAY_PART
#undef ASSAY_NAMES_64
#undef ASSAY_NAMES_128
#undef ASSAY_SUMS_64
#undef ASSAY_SUMS_128
#undef ASSAY_MULTIPLY_ROWS
#undef ASSAY_MULTIPLY_LEFT
#undef ASSAY_MULTIPLY_COLUMNS

}  // namespace assay::kernels::attention::device
