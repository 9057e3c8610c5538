// SPDX-License-Identifier: Apache-2.0
// Tiles for copy engine and warpgroups alike: [64 columns][kRows][128 bytes] in shared memory, swizzled.
#pragma once

#include "kernels/attention/device/hopper.cuh"
#include "kernels/attention/device/sequence.cuh"

namespace assay::kernels::attention::device {

/// A matrix in shared memory, 64 elements (128 bytes) a row, swizzled; groups of eight rows lie 1024 bytes
/// apart. `next_columns`: bytes to the next 64 columns, where rows are the depth of the product (else not
/// used).
ASSAY_INLINE unsigned long long matrix_at(const char* at, int next_columns) {
  const unsigned long long kSwizzle128 = 1ull << 62;
  return kSwizzle128 | static_cast<unsigned long long>(1024 >> 4) << 32 |
         static_cast<unsigned long long>(next_columns >> 4) << 16 | (shared_address(at) & 0x3ffff) >> 4;
}

/// The matrix that lies `bytes` behind: addresses do not carry into the other fields.
ASSAY_INLINE unsigned long long moved(unsigned long long matrix, int bytes) {
  const unsigned low = static_cast<unsigned>(matrix) + static_cast<unsigned>(bytes >> 4);
  return matrix >> 32 << 32 | low;
}

template <class Element, int kHeadSize, int kRows>
struct HopperTiles {
  static constexpr int kColumnsBytes = kRows * 128, kBytes = kRows * kHeadSize * 2;
  static_assert(kHeadSize == 64 || kHeadSize == 128, "whole rows of 128 bytes");

  /// 64 rows of a head's elements as left operands in a warpgroup's registers.
  using Left = unsigned[kHeadSize / 16][4];

  /// Where the columns of a product's step of 16 begin.
  static constexpr int column_at(int depth) { return depth / 4 * kColumnsBytes + depth % 4 * 32; }

  /// Begins copying kBytes, which `full` must expect. By one thread.
  static ASSAY_INLINE void copy(char* tile, const TensorMap& map, Barrier* full, int head, int row,
                                int sequence) {
#pragma unroll
    for (int c = 0; c < kHeadSize / 64; ++c)
      copy_box(tile + c * kColumnsBytes, map, full, 64 * c, head, row, sequence);
  }

  // Products. The caller pins what takes part, fences before and commits behind.

  /// Begins d[64 × N] = a · bᵀ over the head's elements, 64 rows from `a` on, N rows from `b` on.
  template <int kParts>
  static ASSAY_INLINE void begin_rows(float (&d)[kParts][4], const char* a, const char* b) {
#pragma unroll
    for (int depth = 0; depth < kHeadSize / 16; ++depth)
      multiply_rows_async<Element>(d, moved(matrix_at(a, 16), column_at(depth)),
                                   moved(matrix_at(b, 16), column_at(depth)), depth > 0);
  }
  template <int kParts>
  static ASSAY_INLINE void begin_rows(float (&d)[kParts][4], const Left& a, const char* b) {
#pragma unroll
    for (int depth = 0; depth < kHeadSize / 16; ++depth)
      multiply_rows_async<Element>(d, a[depth], moved(matrix_at(b, 16), column_at(depth)), depth > 0);
  }
  /// Begins d[64 × head size] += a · b, a in registers, its columns the rows of `tile`.
  template <int kDepth>
  static ASSAY_INLINE void begin_columns(float (&d)[kHeadSize / 8][4], const unsigned (&a)[kDepth][4],
                                         const char* tile) {
#pragma unroll
    for (int depth = 0; depth < kDepth; ++depth)
      multiply_columns_async<Element>(d, a[depth], moved(matrix_at(tile, kColumnsBytes), depth * 16 * 128));
  }

  /// A warp's 16 rows from row `first` of the tile on.
  static ASSAY_INLINE void load(Left& a, const char* tile, int first) {
    const int row = first + lane_index() % 16;
#pragma unroll
    for (int depth = 0; depth < kHeadSize / 16; ++depth)
      load_matrices(a[depth], tile + depth / 4 * kColumnsBytes + row * 128 +
                                  ((depth % 4 * 2 + lane_index() / 16) ^ (row % 8)) * 16);
  }

  /// Rows from `valid` on become zeros, by `threads` threads; the products of those who meet them afterwards
  /// see it.
  static ASSAY_INLINE void clear_rows(char* tile, int valid, int thread, int threads) {
    const int chunks = (kRows - valid) * 8;
    for (int i = thread; i < chunks * (kHeadSize / 64); i += threads)
      *reinterpret_cast<Vector*>(tile + i / chunks * kColumnsBytes + valid * 128 + i % chunks * 16) =
          Vector{};
    publish_shared_writes();
  }

  /// A warp's 16 rows of sums, each half times its factor, from row `first` of the tile on: over those rows,
  /// which nobody reads any more, then in vectors of 16 bytes to memory, rows of the tile below `valid`.
  static ASSAY_INLINE void store(const float (&sums)[kHeadSize / 8][4], const float (&factor)[2], char* tile,
                                 int first, const RowPointer& to, int valid) {
    const int g = lane_index() / 4, t = lane_index() % 4;
    const auto staged = [&](int row, int chunk) {
      return tile + chunk / 8 * kColumnsBytes + row * 128 + ((chunk % 8) ^ (row % 8)) * 16;
    };
#pragma unroll
    for (int n = 0; n < kHeadSize / 8; ++n)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        *reinterpret_cast<unsigned*>(staged(first + g + half * 8, n) + t * 4) =
            pack<Element>(sums[n][2 * half] * factor[half], sums[n][2 * half + 1] * factor[half]);
    wait_for_warp();
    for (int i = lane_index(); i < 16 * (kHeadSize / 8); i += 32) {
      const int row = first + i / (kHeadSize / 8), chunk = i % (kHeadSize / 8);
      if (row < valid)
        *reinterpret_cast<Vector*>(to.data + row * to.stride + chunk * 16) =
            *reinterpret_cast<const Vector*>(staged(row, chunk));
    }
  }

  /// Sums to 16 bits, as the left operand of the next product.
  template <int kParts>
  static ASSAY_INLINE void round(const float (&s)[kParts][4], unsigned (&a)[kParts / 2][4]) {
#pragma unroll
    for (int depth = 0; depth < kParts / 2; ++depth)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        a[depth][i] = pack<Element>(s[2 * depth + i / 2][i % 2 * 2], s[2 * depth + i / 2][i % 2 * 2 + 1]);
  }
};

/// A block of threads as three warpgroups: one feeds, two work on 64 rows each.
inline constexpr int kWarpgroup = 128, kWorkers = 2 * kWarpgroup;

/// Of a worker: 0 or 1.
ASSAY_INLINE int my_warpgroup() {
  return thread_index() / kWarpgroup - 1;
}
/// The first of a worker's warp's 16 rows among its warpgroup's.
ASSAY_INLINE int my_warps_row() {
  return thread_index() % kWarpgroup / 32 * 16;
}
/// A warp has done with a stage.
ASSAY_INLINE void release(Barrier* barrier) {
  if (lane_index() == 0)
    arrive(barrier);
}

/// The workers hand the tensor cores to each other, or not: each says when it has given them work. The first
/// one begins; named barriers kBarrier and kBarrier + 1.
template <bool kTakeTurns, int kBarrier>
struct Turns {
  static ASSAY_INLINE void begin() {
    if (kTakeTurns && my_warpgroup() == 1)
      announce(kBarrier, kWorkers);
  }
  static ASSAY_INLINE void wait() {
    if constexpr (kTakeTurns)
      meet(kBarrier + my_warpgroup(), kWorkers);
  }
  /// `last`: nobody waits for this worker any more.
  static ASSAY_INLINE void hand_over(bool last) {
    if constexpr (kTakeTurns) {
      if (!(last && my_warpgroup() == 1))
        announce(kBarrier + (1 - my_warpgroup()), kWorkers);
    }
  }
};

}  // namespace assay::kernels::attention::device
