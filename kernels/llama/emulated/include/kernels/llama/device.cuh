// SPDX-License-Identifier: Apache-2.0
// Stands in for kernels/llama/device.cuh where kernels are compiled for the emulated machine: the same names,
// and those of CUDA's language that the kernels use.
#pragma once

#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>

#include "kernels/backprop/emulated/machine.hpp"

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__

namespace assay::kernels::llama::device {

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
inline float shuffle_xor(float x, int distance) {
  return emulated::exchange(x, emulated::thread_index() % 32 ^ static_cast<unsigned>(distance));
}

inline std::uint64_t once_policy() {
  return 0;
}
inline uint4 load_once(const void* p, std::uint64_t) {
  emulated::check_vector(p);
  uint4 v;
  std::memcpy(&v, p, 16);
  return v;
}
inline uint4 load_shared_by_rows(const void* p) {
  return load_once(p, 0);
}
inline void store_vector(void* p, uint4 v) {
  emulated::check_vector(p);
  std::memcpy(p, &v, 16);
}

inline float as_float(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline std::uint32_t as_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

/// Wrong by −1 to 1 units in the last place, as the hardware's may be; which, the bits of y decide.
inline float approximated(float y) {
  const std::uint32_t bits = as_bits(y), magnitude = bits & 0x7fffffffu;
  if (!std::isfinite(y) || magnitude < 0x01000000u)
    return y;
  return as_float(bits + (bits * 2654435761u >> 20) % 3 - 1);
}
inline float inverse_square_root(float x) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x)));
}
inline float reciprocal_approx(float x) {
  return approximated(1.0f / x);
}
inline void sine_and_cosine(float half_turns, float& sine, float& cosine) {
  const double angle = std::numbers::pi * static_cast<double>(half_turns);
  sine = approximated(static_cast<float>(std::sin(angle)));
  cosine = approximated(static_cast<float>(std::cos(angle)));
}

inline float* shared_floats() {
  return reinterpret_cast<float*>(emulated::shared_memory());
}

}  // namespace assay::kernels::llama::device

template <class Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Arguments),
                               Arguments arguments) {
  assay::kernels::emulated::run({.blocks = config->gridDim.x,
                                 .threads = config->blockDim.x,
                                 .cluster = 1,
                                 .shared_bytes = config->dynamicSmemBytes},
                                [=] { kernel(arguments); });
  return cudaSuccess;
}
