// SPDX-License-Identifier: Apache-2.0
// Tiles of 16-bit rows in shared memory, and products of fragments with them (mma.sync).
//
// A row of D elements takes 2·D + 16 bytes: an odd number of 16-byte units, so that the eight rows of one
// ldmatrix matrix lie in eight different groups of banks.
//
// Fragments, lane = 4·g + t: an accumulator's [16×8] part holds rows g, g + 8 and columns 2t, 2t + 1.
#pragma once

#include "kernels/attention/device/machine.cuh"
#include "kernels/attention/device/sequence.cuh"

namespace assay::kernels::attention::device {

template <int kHeadSize>
inline constexpr int kRowBytes = 2 * kHeadSize + 16;

template <int kFragments, int kColumns>
using Accumulator = float[kFragments][kColumns / 8][4];

template <int kFragments, int kColumns>
ASSAY_INLINE void set_zero(Accumulator<kFragments, kColumns>& c) {
  for (int f = 0; f < kFragments; ++f)
    for (int n = 0; n < kColumns / 8; ++n)
      for (int e = 0; e < 4; ++e) c[f][n][e] = 0.0f;
}

/// Begins copying `kRows` rows; rows from `valid` on become zeros.
template <int kHeadSize, int kRows, int kThreads>
ASSAY_INLINE void copy_tile(char* tile, const RowPointer& from, int valid) {
  constexpr int kChunks = kHeadSize / 8;
  static_assert(kRows * kChunks % kThreads == 0, "threads share the chunks evenly");
#pragma unroll
  for (int i = 0; i < kRows * kChunks / kThreads; ++i) {
    const int chunk = i * kThreads + thread_index(), row = chunk / kChunks, column = chunk % kChunks;
    const bool inside = row < valid;
    copy16(tile + row * kRowBytes<kHeadSize> + column * 16,
           from.data + (inside ? row * from.stride : 0) + column * 16, inside);
  }
}

/// c[16·F × N] += a[16·F × D] · b[N × D]ᵀ; `a` is the warp's first row, both in shared memory.
template <class Element, int kFragments, int kColumns, int kHeadSize>
ASSAY_INLINE void multiply_rows(Accumulator<kFragments, kColumns>& c, const char* a, const char* b) {
  constexpr int kStride = kRowBytes<kHeadSize>;
  const int lane = lane_index();
  const char* const a_lane = a + lane % 16 * kStride + lane / 16 * 16;
  const char* const b_lane = b + (lane % 8 + lane / 16 * 8) * kStride + lane / 8 % 2 * 16;
#pragma unroll
  for (int depth = 0; depth < kHeadSize / 16; ++depth) {
    unsigned a_part[kFragments][4];
#pragma unroll
    for (int f = 0; f < kFragments; ++f) load_matrices(a_part[f], a_lane + f * 16 * kStride + depth * 32);
#pragma unroll
    for (int n = 0; n < kColumns / 16; ++n) {
      unsigned b_part[4];
      load_matrices(b_part, b_lane + n * 16 * kStride + depth * 32);
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
        multiply_add<Element>(c[f][2 * n], a_part[f], b_part[0], b_part[1]);
        multiply_add<Element>(c[f][2 * n + 1], a_part[f], b_part[2], b_part[3]);
      }
    }
  }
}

/// c[16·F × D] += a[16·F × N] · b[N × D]; `a` is an accumulator, rounded to Element on the way.
template <class Element, int kFragments, int kDepth, int kHeadSize>
ASSAY_INLINE void multiply_columns(Accumulator<kFragments, kHeadSize>& c,
                                   const Accumulator<kFragments, kDepth>& a, const char* b) {
  constexpr int kStride = kRowBytes<kHeadSize>;
  const int lane = lane_index();
  const char* const b_lane = b + lane % 16 * kStride + lane / 16 * 16;
#pragma unroll
  for (int depth = 0; depth < kDepth / 16; ++depth) {
    unsigned a_part[kFragments][4];
#pragma unroll
    for (int f = 0; f < kFragments; ++f) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto& from = a[f][2 * depth + half];
        a_part[f][2 * half] = pack<Element>(from[0], from[1]);
        a_part[f][2 * half + 1] = pack<Element>(from[2], from[3]);
      }
    }
#pragma unroll
    for (int n = 0; n < kHeadSize / 16; ++n) {
      unsigned b_part[4];
      load_matrices_transposed(b_part, b_lane + depth * 16 * kStride + n * 32);
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
        multiply_add<Element>(c[f][2 * n], a_part[f], b_part[0], b_part[1]);
        multiply_add<Element>(c[f][2 * n + 1], a_part[f], b_part[2], b_part[3]);
      }
    }
  }
}

/// Writes a warp's accumulator, each fragment half times its factor, as rows of Element: over the warp's own
/// rows of `tile`, then in vectors of 16 bytes to memory, rows below `valid` (counted from the warp's first).
template <class Element, int kFragments, int kHeadSize>
ASSAY_INLINE void store_rows(const Accumulator<kFragments, kHeadSize>& c,
                             const float (&factor)[kFragments][2], char* tile, const RowPointer& to,
                             int valid) {
  constexpr int kStride = kRowBytes<kHeadSize>, kChunks = kHeadSize / 8;
  const int lane = lane_index(), g = lane / 4, t = lane % 4;
  wait_for_warp();
#pragma unroll
  for (int f = 0; f < kFragments; ++f)
#pragma unroll
    for (int n = 0; n < kHeadSize / 8; ++n)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        *reinterpret_cast<unsigned*>(tile + (f * 16 + half * 8 + g) * kStride + n * 16 + t * 4) =
            pack<Element>(c[f][n][2 * half] * factor[f][half], c[f][n][2 * half + 1] * factor[f][half]);
  wait_for_warp();
  for (int chunk = lane; chunk < kFragments * 16 * kChunks; chunk += 32) {
    const int row = chunk / kChunks, column = chunk % kChunks;
    if (row < valid)
      *reinterpret_cast<Vector*>(to.data + row * to.stride + column * 16) =
          *reinterpret_cast<const Vector*>(tile + row * kStride + column * 16);
  }
}

}  // namespace assay::kernels::attention::device
