// SPDX-License-Identifier: Apache-2.0
// Stands in for kernels/nf4/matmul/machine.cuh where kernels are compiled for the emulated machine: the same
// names, with the meaning of the PTX manual.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "kernels/backprop/emulated/machine.hpp"

namespace assay::kernels::nf4::device {

#define ASSAY_INLINE inline

inline char* shared_memory() {
  return emulated::shared_memory();
}
inline unsigned thread_index() {
  return emulated::thread_index();
}
inline unsigned block_index() {
  return emulated::block_index();
}
/// Set by the test before it runs a grid.
inline unsigned& grid_size() {
  static unsigned blocks = 1;
  return blocks;
}
inline unsigned grid_blocks() {
  return grid_size();
}
inline void wait_for_block() {
  emulated::wait_for_block();
}
/// Whether this thread has waited for the previous grid, before which it must not touch what that may write.
inline bool& has_waited() {
  static bool all[1024];
  return all[thread_index()];
}
inline void wait_for_previous_grid() {
  has_waited() = true;
}
inline void allow_next_grid() {
  has_waited() = false;
}
inline float shuffle(float value, unsigned from_lane) {
  return emulated::exchange(value, from_lane);
}
inline void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "emulated kernel: expected %s\n", what);
    std::abort();
  }
}

inline std::uint64_t streaming_policy() {
  return 0;
}
template <class Vector>
Vector load_vector(const void* p, bool valid) {
  Vector v{};
  if (!valid)
    return v;
  require(reinterpret_cast<std::uintptr_t>(p) % sizeof(Vector) == 0, "vector loads aligned to their size");
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline uint2 stream8(const void* p, bool valid, std::uint64_t) {
  return load_vector<uint2>(p, valid);
}
inline uint4 stream16(const void* p, bool valid, std::uint64_t) {
  return load_vector<uint4>(p, valid);
}
inline uint4 load16(const void* p, bool valid) {
  require(has_waited(), "x to be read after the wait for the previous grid");
  return load_vector<uint4>(p, valid);
}
inline std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(static_cast<const char*>(p) - shared_memory());
}
inline std::uint32_t load_shared(std::uint32_t address) {
  std::uint32_t v;
  std::memcpy(&v, shared_memory() + address, 4);
  return v;
}
template <int i>
std::uint32_t byte_of(std::uint32_t word) {
  return (word >> (8 * i)) & 0xffu;
}
inline std::uint32_t load_statistic(const std::uint8_t* p) {
  return *p;
}
inline float load_statistic(const float* p) {
  return *p;
}

/// -ffp-contract=off keeps the steps apart.
inline float multiply_then_add(float a, float b, float c) {
  return a * b + c;
}
inline float fused(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
template <class T>
float widen(T x) {
  return static_cast<float>(x);
}
template <class T>
T narrow(float x) {
  if constexpr (sizeof(T) == 4)
    return x;
  else if constexpr (std::is_same_v<T, __half>)
    return __float2half_rn(x);
  else
    return __float2bfloat16_rn(x);
}

/// Operands that each lane shows the others of its warp. Two boards take turns: who writes on one again has
/// passed a wait that all lanes reach only after they have read it.
struct Operands {
  std::uint32_t a[4], b[2];
};
inline Operands& shown(unsigned turn, unsigned lane) {
  static Operands all[2][32][32];
  return all[turn % 2][thread_index() / 32][lane];
}
template <class T>
float half_of(std::uint32_t pair, unsigned which) {
  const auto bits = static_cast<std::uint16_t>(pair >> (16 * which));
  T x;
  std::memcpy(&x, &bits, 2);
  return static_cast<float>(x);
}

/// Fragments as the PTX manual lays them out for m16n8k16; products are exact, sums f32 in order of k.
template <class T>
void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  static unsigned turns[1024];
  const unsigned turn = ++turns[thread_index()], lane = thread_index() % 32, g = lane / 4, t = lane % 4;
  shown(turn, lane) = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
  emulated::exchange(0.0f, 0);
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row_half = i / 2, column = 2 * t + i % 2;
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned owner = k % 8 / 2, k_half = k / 8;
      const float left = half_of<T>(shown(turn, 4 * g + owner).a[2 * k_half + row_half], k % 2);
      const float right = half_of<T>(shown(turn, 4 * column + owner).b[k_half], k % 2);
      c[i] += left * right;
    }
  }
}

}  // namespace assay::kernels::nf4::device
