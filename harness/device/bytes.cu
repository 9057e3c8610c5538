// SPDX-License-Identifier: Apache-2.0
// Device side of the digest and of the comparison with one byte value: one grid-stride pass, 8 bytes a
// thread, one 64-bit atomic a block. The sum does not depend on the order of the blocks.
#include <cuda_runtime.h>

#include <algorithm>
#include <mutex>

#include "harness/device/bytes.hpp"
#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

constexpr int kThreads = 256;

struct Bytes {
  const unsigned char* data;
  std::size_t size;

  __device__ std::uint64_t word(std::size_t index) const {
    const std::size_t begin = 8 * index;
    if (begin + 8 <= size && reinterpret_cast<std::uintptr_t>(data) % 8 == 0) {
      return reinterpret_cast<const std::uint64_t*>(data)[index];
    }
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8 && begin + i < size; ++i) {
      word |= static_cast<std::uint64_t>(data[begin + i]) << (8 * i);
    }
    return word;
  }
};

struct Digest {
  __device__ std::uint64_t operator()(const Bytes& bytes, std::size_t index) const {
    return mix_word(bytes.word(index), index);
  }
};

struct CountOthers {
  std::uint64_t pattern;

  __device__ std::uint64_t operator()(const Bytes& bytes, std::size_t index) const {
    const std::size_t used = bytes.size - 8 * index;
    const std::uint64_t mask = used >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * used)) - 1;
    return ((bytes.word(index) ^ pattern) & mask) != 0 ? 1 : 0;
  }
};

template <class Term>
__global__ void sum_words_kernel(Bytes bytes, Term term, unsigned long long* sum) {
  const std::size_t words = (bytes.size + 7) / 8;
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  std::uint64_t mine = 0;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < words;
       i += stride) {
    mine += term(bytes, i);
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    mine += __shfl_down_sync(0xFFFFFFFFu, mine, offset);
  }
  if (threadIdx.x % 32 == 0) {
    atomicAdd(sum, static_cast<unsigned long long>(mine));
  }
}

/// One accumulator for the life of the process: taking memory a call would disturb measurements of memory.
unsigned long long* accumulator() {
  static unsigned long long* const sum = [] {
    void* memory = nullptr;
    ASSAY_HARNESS_CUDA(cudaMalloc(&memory, sizeof(unsigned long long)));
    return static_cast<unsigned long long*>(memory);
  }();
  return sum;
}

template <class Term>
std::uint64_t sum_words(const void* data, std::size_t bytes, Term term) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  unsigned long long* const sum = accumulator();
  const std::size_t words = (bytes + 7) / 8;
  const auto blocks = static_cast<unsigned>(std::min<std::size_t>((words + kThreads - 1) / kThreads, 2048));
  ASSAY_HARNESS_CUDA(cudaMemsetAsync(sum, 0, sizeof(*sum), nullptr));
  sum_words_kernel<<<blocks, kThreads>>>(Bytes{static_cast<const unsigned char*>(data), bytes}, term, sum);
  ASSAY_HARNESS_CUDA(cudaGetLastError());
  unsigned long long result = 0;
  ASSAY_HARNESS_CUDA(cudaMemcpy(&result, sum, sizeof(result), cudaMemcpyDeviceToHost));
  return result;
}

}  // namespace

std::uint64_t digest_on_device(const void* data, std::size_t bytes) {
  return sum_words(data, bytes, Digest{});
}

bool all_bytes_are_on_device(const void* data, std::uint8_t value, std::size_t bytes) {
  return sum_words(data, bytes, CountOthers{value * 0x0101010101010101ull}) == 0;
}

int probe_device_code() {
  cudaFuncAttributes attributes;
  return static_cast<int>(cudaFuncGetAttributes(&attributes, sum_words_kernel<Digest>));
}

}  // namespace assay::harness
