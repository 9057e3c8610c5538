// SPDX-License-Identifier: Apache-2.0
// Stands in for kernels/attention/device/machine.cuh where kernels are compiled for the emulated machine: the
// same names, with the meaning of the PTX manual. Asynchronous copies happen as late as they may.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/attention/emulated/rounding.hpp"
#include "kernels/backprop/emulated/machine.hpp"

namespace assay::kernels::attention::device {

#define ASSAY_INLINE inline

struct Half {};
struct Bfloat16 {};

struct alignas(16) Vector {
  unsigned x, y, z, w;
};

inline char* shared_memory() {
  return emulated::shared_memory();
}
/// From the beginning of the block's memory, which is aligned as far as anyone asks.
inline unsigned shared_address(const void* p) {
  return static_cast<unsigned>(static_cast<const char*>(p) - shared_memory());
}
inline int thread_index() {
  return static_cast<int>(emulated::thread_index());
}
inline int lane_index() {
  return thread_index() % 32;
}
inline int block_index() {
  return static_cast<int>(emulated::block_index());
}
inline int block_threads() {
  return static_cast<int>(emulated::block_threads());
}
inline void wait_for_block() {
  emulated::wait_for_block();
}
/// A warp that takes longer than the others: those run ahead of it as far as barriers let them. −1: none.
inline int& slow_warp() {
  static int warp = -1;
  return warp;
}
inline void wait_for_warp() {
  const int times = thread_index() / 32 == slow_warp() ? 3 : 1;
  for (int i = 0; i < times; ++i) emulated::exchange(0.0f, 0);
}

/// What each lane shows the others of its warp. Two boards take turns: who writes on one again has passed a
/// wait that all lanes reach only after they have read it.
struct Shown {
  unsigned a[4], b[2];
  const char* row;
  long long number;
};
inline int& turn_of_mine() {
  static int all[1024];
  return all[thread_index()];
}
inline Shown& board(int lane) {
  static Shown all[2][32][32];
  return all[turn_of_mine() % 2][thread_index() / 32][lane];
}
/// The next board, to write on.
inline Shown& show_next() {
  ++turn_of_mine();
  return board(lane_index());
}
inline const Shown& shown(int lane) {
  return board(lane);
}

inline int wait_for_block_any(int predicate) {
  static int any;
  emulated::wait_for_block();
  any = 0;
  emulated::wait_for_block();
  any |= predicate;
  emulated::wait_for_block();
  const int result = any;
  emulated::wait_for_block();
  return result;
}
inline float shuffle_xor(float value, int distance) {
  return emulated::exchange(value, static_cast<unsigned>(lane_index() ^ distance));
}
inline unsigned ballot(bool predicate) {
  show_next().number = predicate ? 1 : 0;
  wait_for_warp();
  unsigned bits = 0;
  for (int lane = 0; lane < 32; ++lane) bits |= static_cast<unsigned>(shown(lane).number) << lane;
  return bits;
}
inline int count_bits(unsigned x) {
  return __builtin_popcount(x);
}
inline long long shuffle_first(long long value) {
  show_next().number = value;
  wait_for_warp();
  return shown(0).number;
}
[[noreturn]] inline void stop_with_error() {
  std::fprintf(stderr, "emulated kernel: it stopped with an error\n");
  std::abort();
}
inline void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "emulated kernel: expected %s\n", what);
    std::abort();
  }
}

/// Element (row, column) of matrix `i`.
inline std::uint16_t element_of(int i, int row, int column) {
  std::uint16_t bits;
  std::memcpy(&bits, shown(8 * i + row).row + 2 * column, 2);
  return bits;
}
inline void load_matrices(unsigned (&r)[4], const char* row, bool transposed) {
  require(reinterpret_cast<std::uintptr_t>(row) % 16 == 0, "ldmatrix rows aligned to 16 bytes");
  show_next().row = row;
  wait_for_warp();
  const int g = lane_index() / 4, t = lane_index() % 4;
  for (int i = 0; i < 4; ++i) {
    const unsigned low = transposed ? element_of(i, 2 * t, g) : element_of(i, g, 2 * t);
    const unsigned high = transposed ? element_of(i, 2 * t + 1, g) : element_of(i, g, 2 * t + 1);
    r[i] = low | high << 16;
  }
}
inline void load_matrices(unsigned (&r)[4], const char* row) {
  load_matrices(r, row, false);
}
inline void load_matrices_transposed(unsigned (&r)[4], const char* row) {
  load_matrices(r, row, true);
}

template <class Element>
inline float unpack(unsigned short bits);
template <>
inline float unpack<Half>(unsigned short bits) {
  return emulated::from_half(bits);
}
template <>
inline float unpack<Bfloat16>(unsigned short bits) {
  return emulated::from_bfloat16(bits);
}
template <class Element>
inline unsigned pack(float low, float high);
template <>
inline unsigned pack<Half>(float low, float high) {
  return emulated::to_half(low) | static_cast<unsigned>(emulated::to_half(high)) << 16;
}
template <>
inline unsigned pack<Bfloat16>(float low, float high) {
  return emulated::to_bfloat16(low) | static_cast<unsigned>(emulated::to_bfloat16(high)) << 16;
}

/// mma.m16n8k16: a[i] holds rows g (i even) or g + 8, depths 2t, 2t + 1 (i < 2) or 8 more; b[i] depths 2t +
/// 8i, column g.
template <class Element>
inline void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  Shown& mine = show_next();
  std::memcpy(mine.a, a, sizeof a);
  mine.b[0] = b0, mine.b[1] = b1;
  wait_for_warp();
  const int g = lane_index() / 4, t = lane_index() % 4;
  for (int e = 0; e < 4; ++e) {
    const int row = g + e / 2 * 8, column = 2 * t + e % 2;
    float sum = c[e];
    for (int depth = 0; depth < 16; ++depth) {
      const unsigned shift = depth % 2 * 16;
      const unsigned x = shown(row % 8 * 4 + depth % 8 / 2).a[row / 8 + depth / 8 * 2] >> shift;
      const unsigned y = shown(column * 4 + depth % 8 / 2).b[depth / 8] >> shift;
      sum +=
          unpack<Element>(static_cast<unsigned short>(x)) * unpack<Element>(static_cast<unsigned short>(y));
    }
    c[e] = sum;
  }
}

struct Copy {
  char* to;
  const char* from;
  int bytes;
  bool valid;
};
/// Groups of copies of each thread that have not happened yet; the last one is not committed.
inline std::vector<std::vector<Copy>>& copies_of_mine() {
  static std::vector<std::vector<Copy>> all[1024];
  auto& mine = all[thread_index()];
  if (mine.empty())
    mine.emplace_back();
  return mine;
}
/// At a thread's end: a copy that nobody waited for may land anywhen.
inline void require_copies_done() {
  for (const auto& group : copies_of_mine()) require(group.empty(), "a wait for every copy");
}
inline void copy16(char* to, const char* from, bool valid) {
  require(reinterpret_cast<std::uintptr_t>(to) % 16 == 0 &&
              (!valid || reinterpret_cast<std::uintptr_t>(from) % 16 == 0),
          "copies aligned to 16 bytes");
  std::memset(to, 0xff, 16);  // whoever reads before waiting reads NaN
  copies_of_mine().back().push_back({to, from, 16, valid});
}
inline void copy4(float* to, const float* from, bool valid) {
  *to = NAN;
  copies_of_mine().back().push_back(
      {reinterpret_cast<char*>(to), reinterpret_cast<const char*>(from), 4, valid});
}
inline void commit_copies() {
  copies_of_mine().emplace_back();
}
template <int kPending>
inline void wait_for_copies() {
  auto& groups = copies_of_mine();
  while (groups.size() > kPending + 1) {
    for (const Copy& copy : groups.front()) {
      if (copy.valid)
        std::memcpy(copy.to, copy.from, static_cast<std::size_t>(copy.bytes));
      else
        std::memset(copy.to, 0, static_cast<std::size_t>(copy.bytes));
    }
    groups.erase(groups.begin());
  }
}

inline float exp2_approx(float x) {
  return std::exp2(x);
}
inline float log2_approx(float x) {
  return std::log2(x);
}
inline float reciprocal_approx(float x) {
  return 1.0f / x;
}
inline float rsqrt_approx(float x) {
  return 1.0f / std::sqrt(x);
}
inline float tanh_one_instruction(float x) {
  return std::tanh(x);
}
inline float larger(float a, float b) {
  return std::fmax(a, b);
}
inline float fused(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float infinity() {
  return INFINITY;
}
inline long long to_fixed(float x) {
  return std::llrint(x);
}
inline float from_fixed(unsigned long long x, float one) {
  return static_cast<float>(static_cast<long long>(x)) / one;
}
inline void add_to(float* at, float value) {
  *at += value;
}
inline void add_to(unsigned long long* at, long long value) {
  *at += static_cast<unsigned long long>(value);
}

}  // namespace assay::kernels::attention::device
