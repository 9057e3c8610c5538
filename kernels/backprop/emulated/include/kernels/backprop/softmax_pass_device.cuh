// SPDX-License-Identifier: Apache-2.0
// Stands in for kernels/backprop/softmax_pass_device.cuh where kernels are compiled for the emulated machine:
// the same names, and those of CUDA's language that the kernels use.
#pragma once

#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/backprop/emulated/machine.hpp"

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__

namespace assay::kernels::backprop::device {

using std::max;
using std::min;

template <unsigned (*kRead)()>
struct Index {
  struct {
    operator unsigned() const { return kRead(); }  // NOLINT: reads like CUDA's built-in variables
  } x;
};
inline constexpr Index<emulated::thread_index> threadIdx{};
inline constexpr Index<emulated::block_index> blockIdx{};
inline constexpr Index<emulated::block_threads> blockDim{};

inline void __syncthreads() {
  emulated::wait_for_block();
}
inline float __shfl_xor_sync(unsigned, float value, int distance) {
  return emulated::exchange(value, emulated::thread_index() % 32 ^ static_cast<unsigned>(distance));
}
template <class T>
T __ldg(const T* at) {
  return *at;
}
inline float __uint_as_float(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline std::uint32_t __float_as_uint(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

enum class Use { kDefault, kKeep, kLast };
template <Use>
std::uint64_t policy() {
  return 0;
}
inline uint4 load_vector(const void* p, std::uint64_t) {
  emulated::check_vector(p);
  uint4 v;
  std::memcpy(&v, p, 16);
  return v;
}
template <Use>
void store_vector(void* p, uint4 v, std::uint64_t) {
  emulated::check_vector(p);
  std::memcpy(p, &v, 16);
}

/// Wrong by −2 to 2 units in the last place, as the hardware's approximations may be; which, the bits of y
/// decide.
inline float approximated(float y) {
  const std::uint32_t bits = __float_as_uint(y);
  if (!std::isfinite(y) || bits < 0x01000000u)
    return y;
  return __uint_as_float(bits + (bits * 2654435761u >> 20) % 5 - 2);
}
inline float exp2_approx(float x) {
  const float y = std::exp2(x);
  if (x == 0.0f || y < 0x1p-126f)
    return x == 0.0f ? 1.0f : 0.0f;
  return approximated(y);
}
inline float reciprocal_approx(float x) {
  return approximated(1.0f / x);
}

inline char* shared_memory() {
  return emulated::shared_memory();
}
inline int cluster_rank() {
  return static_cast<int>(emulated::rank_in_cluster());
}
inline int cluster_size() {
  return static_cast<int>(emulated::cluster_blocks());
}
inline void cluster_arrive() {
  emulated::arrive_at_cluster();
}
inline void cluster_wait() {
  emulated::wait_for_cluster();
}
inline float4 load_from_rank(const void* mine, int rank) {
  float4 v;
  std::memcpy(&v, emulated::in_block(static_cast<unsigned>(rank), mine), 16);
  return v;
}

}  // namespace assay::kernels::backprop::device

template <class Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Arguments),
                               Arguments arguments) {
  assay::kernels::emulated::run({.blocks = config->gridDim.x,
                                 .threads = config->blockDim.x,
                                 .cluster = config->numAttrs > 0 ? config->attrs[0].val.clusterDim.x : 1,
                                 .shared_bytes = config->dynamicSmemBytes},
                                [=] { kernel(arguments); });
  return cudaSuccess;
}
