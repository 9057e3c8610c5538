// SPDX-License-Identifier: Apache-2.0
// Kernels with known properties, built for every architecture of the build and read back by inspect_test.cpp.
// Never run.
#include <mma.h>

namespace assay::harness::sample {

__device__ uint4 load_streaming(const uint4* at) {
  uint4 v;
#if __CUDA_ARCH__ >= 800
  unsigned long long policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  asm volatile("ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%0,%1,%2,%3}, [%4], %5;"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(at), "l"(policy));
#else
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(at));
#endif
  return v;
}

/// 16-byte loads with a policy of their own, 16-byte stores that evict first.
template <int kThreads>
__global__ void streaming_copy_kernel(const uint4* in, uint4* out, int n) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n) {
    __stcs(out + i, load_streaming(in + i));
  }
}
template __global__ void streaming_copy_kernel<128>(const uint4*, uint4*, int);

/// One byte a thread, no hints.
__global__ void byte_copy_kernel(const unsigned char* in, unsigned char* out) {
  out[threadIdx.x] = in[threadIdx.x];
}

/// An array indexed at run time cannot live in registers.
__global__ void local_array_kernel(float* data, int step) {
  float values[32];
#pragma unroll 1
  for (int i = 0; i < 32; ++i) {
    values[(i * step) & 31] = data[i];
  }
  data[threadIdx.x] = __fmaf_rn(values[step & 31], 1.5f, values[threadIdx.x & 31]);
}

/// One 16×16×16 product, 4096 bytes of shared memory.
__global__ void matrix_kernel(const half* a, const half* b, float* c) {
  using namespace nvcuda::wmma;
  __shared__ float staged[1024];
  fragment<matrix_a, 16, 16, 16, half, row_major> fragment_a;
  fragment<matrix_b, 16, 16, 16, half, row_major> fragment_b;
  fragment<accumulator, 16, 16, 16, float> sum;
  fill_fragment(sum, 0.f);
  load_matrix_sync(fragment_a, a, 16);
  load_matrix_sync(fragment_b, b, 16);
  mma_sync(sum, fragment_a, fragment_b, sum);
  store_matrix_sync(staged, sum, 16, mem_row_major);
  __syncthreads();
  c[threadIdx.x] = staged[1023 - threadIdx.x];
}

}  // namespace assay::harness::sample
