// SPDX-License-Identifier: Apache-2.0
// Copy, fill, random fill and nothing. A block moves 16 KiB: each thread has four 16-byte loads in flight
// before its first store, and neighbouring threads touch neighbouring words.
#include <stdexcept>
#include <string>

#include "harness/device/device.hpp"
#include "harness/measure/probe_kernels.hpp"

namespace assay::harness {
namespace {

constexpr int kThreads = 256;
constexpr int kVectorsPerThread = 4;
constexpr std::size_t kVectorsPerBlock = std::size_t{kThreads} * kVectorsPerThread;

__device__ std::size_t first_vector() {
  return blockIdx.x * kVectorsPerBlock + threadIdx.x;
}

__global__ void vector_copy_kernel(uint4* to, const uint4* from, std::size_t vectors) {
  const std::size_t first = first_vector();
  uint4 values[kVectorsPerThread];
#pragma unroll
  for (int i = 0; i < kVectorsPerThread; ++i) {
    if (const std::size_t at = first + i * kThreads; at < vectors) {
      values[i] = __ldcs(from + at);
    }
  }
#pragma unroll
  for (int i = 0; i < kVectorsPerThread; ++i) {
    if (const std::size_t at = first + i * kThreads; at < vectors) {
      __stcs(to + at, values[i]);
    }
  }
}

__global__ void vector_fill_kernel(uint4* to, std::uint32_t word, std::size_t vectors) {
  const std::size_t first = first_vector();
#pragma unroll
  for (int i = 0; i < kVectorsPerThread; ++i) {
    if (const std::size_t at = first + i * kThreads; at < vectors) {
      __stcs(to + at, make_uint4(word, word, word, word));
    }
  }
}

/// Finaliser of MurmurHash3: every input bit reaches every output bit.
__device__ std::uint32_t mixed(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

__global__ void random_fill_kernel(uint4* to, RandomBits bits, std::size_t vectors) {
  const std::size_t first = first_vector();
  const auto word = [&](std::size_t at, std::uint32_t lane) {
    return (mixed(static_cast<std::uint32_t>(4 * at) + lane + 0x9e3779b9u * bits.seed) & bits.keep) |
           bits.set;
  };
#pragma unroll
  for (int i = 0; i < kVectorsPerThread; ++i) {
    if (const std::size_t at = first + i * kThreads; at < vectors) {
      to[at] = make_uint4(word(at, 0), word(at, 1), word(at, 2), word(at, 3));
    }
  }
}

__global__ void empty_kernel() {}

unsigned blocks_for(const void* data, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(data) % sizeof(uint4) != 0 || bytes % sizeof(uint4) != 0 ||
      bytes == 0) {
    throw std::invalid_argument(
        "probe kernels: expected a pointer and a size that are multiples of 16, found " +
        std::to_string(reinterpret_cast<std::uintptr_t>(data)) + " and " + std::to_string(bytes));
  }
  return static_cast<unsigned>((bytes / sizeof(uint4) + kVectorsPerBlock - 1) / kVectorsPerBlock);
}

}  // namespace

void enqueue_vector_copy(void* to, const void* from, std::size_t bytes, Stream stream) {
  static_cast<void>(blocks_for(from, bytes));
  vector_copy_kernel<<<blocks_for(to, bytes), kThreads, 0, stream>>>(
      static_cast<uint4*>(to), static_cast<const uint4*>(from), bytes / sizeof(uint4));
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

void enqueue_vector_fill(void* to, std::uint32_t word, std::size_t bytes, Stream stream) {
  vector_fill_kernel<<<blocks_for(to, bytes), kThreads, 0, stream>>>(static_cast<uint4*>(to), word,
                                                                     bytes / sizeof(uint4));
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

void enqueue_empty_kernel(Stream stream) {
  empty_kernel<<<1, 1, 0, stream>>>();
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

void enqueue_random_fill(void* to, RandomBits bits, std::size_t bytes, Stream stream) {
  random_fill_kernel<<<blocks_for(to, bytes), kThreads, 0, stream>>>(static_cast<uint4*>(to), bits,
                                                                     bytes / sizeof(uint4));
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

}  // namespace assay::harness
