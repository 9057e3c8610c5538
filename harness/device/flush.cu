// SPDX-License-Identifier: Apache-2.0
// Kernels that prepare a measurement: reading a buffer through L2, and holding a stream busy for a while.
#include <cuda_runtime.h>

#include <algorithm>

#include "harness/device/flush.hpp"

namespace assay::harness {
namespace {

constexpr int kThreads = 256;

__device__ uint4 load(const uint4* at) {
  return __ldcg(at);
}

/// With the request to be evicted last, where the architecture has it.
__device__ uint4 load_to_keep(const uint4* at) {
#if __CUDA_ARCH__ >= 800
  std::uint64_t policy;
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  uint4 value;
  asm volatile("ld.global.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(at), "l"(policy));
  return value;
#else
  return load(at);
#endif
}

/// Stores only if a value is not zero, which never happens, so nothing becomes dirty and no load is optimised
/// away.
template <bool kKeep>
__global__ void read_kernel(const uint4* data, std::size_t count, uint4* never_written) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  unsigned seen = 0;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const uint4 value = kKeep ? load_to_keep(data + i) : load(data + i);
    seen |= value.x | value.y | value.z | value.w;
  }
  if (seen != 0) {
    *never_written = make_uint4(seen, seen, seen, seen);
  }
}

/// Takes the request to be evicted last back from every line.
__global__ void release_kernel(const std::byte* data, std::size_t bytes) {
#if __CUDA_ARCH__ >= 800
  constexpr std::size_t kLine = 128;
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x * kLine;
  const std::size_t first = (static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x) * kLine;
  for (std::size_t at = first; at < bytes; at += stride) {
    asm volatile("applypriority.global.L2::evict_normal [%0], 128;" : : "l"(data + at) : "memory");
  }
#endif
}

__device__ std::uint64_t global_time_ns() {
  std::uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

/// Two clocks, either ends the loop: the global timer ticks coarsely on some GPUs, the SM clock never stops.
/// No SM runs faster than 4 GHz, so the cycle bound alone never ends early.
__global__ void delay_kernel(std::uint64_t nanoseconds) {
  const std::uint64_t begin = global_time_ns();
  const long long cycles = clock64();
  const long long most_cycles = 4 * static_cast<long long>(nanoseconds);
  while (global_time_ns() - begin < nanoseconds && clock64() - cycles < most_cycles) {
  }
}

}  // namespace

void launch_read(const void* data, std::size_t bytes, int multiprocessors, bool keep, Stream stream) {
  const auto* words = static_cast<const uint4*>(data);
  const auto kernel = keep ? read_kernel<true> : read_kernel<false>;
  kernel<<<8 * multiprocessors, kThreads, 0, stream>>>(words, bytes / sizeof(uint4),
                                                       const_cast<uint4*>(words));
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

void launch_release(const void* data, std::size_t bytes, int multiprocessors, Stream stream) {
  release_kernel<<<8 * multiprocessors, kThreads, 0, stream>>>(static_cast<const std::byte*>(data), bytes);
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

void enqueue_delay(Stream stream, double microseconds) {
  constexpr double kLongest = 1e6;
  // The negation also sends NaN to zero.
  const double bounded = !(microseconds > 0) ? 0.0 : std::min(microseconds, kLongest);
  delay_kernel<<<1, 1, 0, stream>>>(static_cast<std::uint64_t>(bounded * 1000.0));
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

}  // namespace assay::harness
