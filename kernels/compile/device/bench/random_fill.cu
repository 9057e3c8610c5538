// SPDX-License-Identifier: Apache-2.0
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <stdexcept>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/device/bench/random_fill.hpp"

namespace assay::kernels::compile::bench {
namespace {

constexpr int kThreads = 256, kMostBlocks = 4096;

/// The finalizer of MurmurHash3 (Appleby, public domain) over index and seed.
__host__ __device__ std::uint32_t hashed(std::uint64_t index, std::uint32_t seed) {
  std::uint32_t x = static_cast<std::uint32_t>(index) ^ static_cast<std::uint32_t>(index >> 32) * 0x9e3779b9u;
  x ^= seed * 0x85ebca6bu;
  x ^= x >> 16, x *= 0x85ebca6bu;
  x ^= x >> 13, x *= 0xc2b2ae35u;
  return x ^ x >> 16;
}

__device__ void put(std::uint8_t* at, std::uint32_t bits, const Uniform&) {
  *at = static_cast<std::uint8_t>(bits >> 24);
}
__host__ __device__ float number(std::uint32_t bits, const Uniform& u) {
  return u.low + (u.high - u.low) * (static_cast<float>(bits >> 8) * 0x1p-24f);
}
__device__ void put(float* at, std::uint32_t bits, const Uniform& u) {
  *at = number(bits, u);
}
__device__ void put(__half* at, std::uint32_t bits, const Uniform& u) {
  *at = __float2half_rn(number(bits, u));
}
__device__ void put(__nv_bfloat16* at, std::uint32_t bits, const Uniform& u) {
  *at = __float2bfloat16_rn(number(bits, u));
}

template <class T>
__global__ void __launch_bounds__(kThreads) fill_kernel(T* out, std::int64_t count, Uniform u) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += stride)
    put(out + i, hashed(static_cast<std::uint64_t>(i), u.seed), u);
}

template <class T>
void fill(T* out, std::int64_t count, const Uniform& u, cudaStream_t stream) {
  if (count == 0)
    return;
  const auto blocks = std::min<std::int64_t>((count + kThreads - 1) / kThreads, kMostBlocks);
  fill_kernel<T><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(out, count, u);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void fill_bytes(std::uint8_t* out, std::int64_t count, std::uint32_t seed, cudaStream_t stream) {
  fill(out, count, {.seed = seed}, stream);
}
void fill_floats(float* out, std::int64_t count, const Uniform& numbers, cudaStream_t stream) {
  fill(out, count, numbers, stream);
}
void fill_elements(void* out, ComputeType type, std::int64_t count, const Uniform& numbers,
                   cudaStream_t stream) {
  switch (type) {
    case ComputeType::kFloat16:
      return fill(static_cast<__half*>(out), count, numbers, stream);
    case ComputeType::kBfloat16:
      return fill(static_cast<__nv_bfloat16*>(out), count, numbers, stream);
    case ComputeType::kFloat32:
      break;
  }
  throw std::invalid_argument("random fill: expected f16 or bf16");
}

float uniform_at(std::uint64_t index, const Uniform& numbers) {
  return number(hashed(index, numbers.seed), numbers);
}

}  // namespace assay::kernels::compile::bench
