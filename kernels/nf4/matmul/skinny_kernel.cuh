// SPDX-License-Identifier: Apache-2.0
// Device code of the skinny product: W is the left operand of the matrix instruction, decoded straight into
// registers; x, up to 8 or 16 rows, is the right one.
//
// Decode. A byte holds two weights: shared memory keeps all 256 pairs as two 16-bit codes, once for each
// bank, so that 32 lanes look up 32 pairs without a conflict (one shift, one mask, one load for two weights).
// Codes are not multiplied by their absmax: a step of 64 weights is summed first and the f32 sum multiplied,
// one fused multiply-add for 16 weights. Rounded codes are the only error of the weights, and table_scale
// makes it small.
//
// Lanes. Which 16 places of K an instruction sums is free as long as both operands agree. With P blocks a
// group, lane (g, t) = (lane / 4, lane % 4) owns the 16·P weights at 16·P·t of rows g and g + 8: whole
// vectors of the packed rows, and all of one absmax block, number t·P/4 of its group. Column c of the right
// operand is row c / P of x, zero outside block c % P: so one instruction sums P blocks into P different
// columns.
//
// A thread block takes tiles of 16·kRowTiles rows; its warps share a tile's K in steps of 256 weights (a line
// of each row), w, w + kWarps, …, and add up their sums in shared memory in the order of warps. The loads of
// the next steps, beyond the end of a tile too, are on their way while a step is summed.
#pragma once

#include "kernels/nf4/matmul/machine.cuh"
#include "kernels/nf4/matmul/skinny_config.hpp"
#include "kernels/nf4/matmul/skinny_params.hpp"

namespace assay::kernels::nf4::device {

template <class T, int kBlocksAGroup, int kColumnTiles, int kRowTiles>
struct Skinny {
  static constexpr int kWarps = 8, kThreads = 32 * kWarps, kStep = 256;
  static constexpr int P = kBlocksAGroup, kGroups = 4 / P, kWords = 2 * P;  // words of a lane, row and group
  static constexpr int kRows = 16 * kRowTiles;
  static constexpr int kColumns = 8 * kColumnTiles / P;  // rows of x
  static constexpr int kBlocksAMultiprocessor = blocks_a_multiprocessor(
      {.blocks_a_group = kBlocksAGroup, .column_tiles = kColumnTiles, .row_tiles = kRowTiles});
  static constexpr int kTableBytes = 256 * 32 * 4, kNestedBytes = 256 * 4;
  static constexpr int kSumsFloats = kWarps * kColumns * kRows;
  static constexpr int kSharedBytes = kTableBytes + kNestedBytes + 2 * 4 * kSumsFloats;

  /// A step of one lane: its packed weights and what its share of the absmax is made of.
  struct Stage {
    std::uint32_t words[kRowTiles][2][8];
    std::uint32_t codes[kRowTiles][2];
    float levels[kRowTiles][2];
  };
  /// Sums over the steps so far: by row half, and by column where P = 1.
  struct Sums {
    float value[kRowTiles][kColumnTiles][2][2];
  };

  const SkinnyParams& p;
  const unsigned warp = thread_index() / 32, lane = thread_index() % 32, g = lane / 4, t = lane % 4;
  const unsigned steps = (p.k + kStep - 1) / kStep, steps_a_warp = (steps + kWarps - 1) / kWarps;
  const unsigned tiles = (p.n + kRows - 1) / kRows;
  const std::uint64_t policy = streaming_policy();
  const float* const nested_code = reinterpret_cast<const float*>(shared_memory() + kTableBytes);
  float* const sums = reinterpret_cast<float*>(shared_memory() + kTableBytes + kNestedBytes);

  ASSAY_INLINE explicit Skinny(const SkinnyParams& params) : p(params) {}

  ASSAY_INLINE void build_tables() {
    auto* const pairs = reinterpret_cast<std::uint32_t*>(shared_memory());
    for (unsigned byte = warp; byte < 256; byte += kWarps)
      pairs[byte * 32 + lane] =
          p.scaled_code[byte >> 4] | static_cast<std::uint32_t>(p.scaled_code[byte & 15]) << 16;
    if (p.absmax_codes != nullptr)
      reinterpret_cast<float*>(shared_memory() + kTableBytes)[thread_index()] =
          load_statistic(p.nested_code + thread_index());
  }

  /// Where a warp is in the steps of all tiles of its thread block, and where its loads are, ahead of it.
  struct Walk {
    unsigned tile, step, parity;
    unsigned load_tile, load_step;
    const std::uint8_t* packed;        // this lane's place in the first 64 weights of W
    unsigned first_run[kRowTiles][2];  // of the rows of the tile that is loaded, in runs of 64 weights
    std::uint32_t pairs;               // this lane's bank of the table, in shared memory
    const T* x[kColumnTiles];          // this lane's column and its first place of step 0
    unsigned x_end[kColumnTiles];      // places from there on; 0: the column is zero in this lane
    float offset;
    Sums total;
  };

  ASSAY_INLINE void begin_walk(Walk& w) const {
    w.tile = w.load_tile = block_index();
    w.step = w.load_step = warp;
    w.parity = 0;
    w.total = {};
    w.packed = p.packed + 8 * P * t;
    w.pairs = shared_address(shared_memory()) + 4 * lane;
#pragma unroll
    for (int j = 0; j < kColumnTiles; ++j) {
      const unsigned row = P == 1 ? 8 * j + g : g / P, first = 16 * P * t;
      const bool mine = row < p.m && (P == 1 || g % P == t * P / 4);
      w.x[j] = static_cast<const T*>(p.x) + (mine ? row * p.ldx + first : 0);
      w.x_end[j] = mine && first < p.k ? p.k - first : 0;
    }
    begin_tile(w);
  }

  /// Rows past the end read the last row.
  ASSAY_INLINE void begin_tile(Walk& w) const {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const unsigned wanted = w.load_tile * kRows + 16 * r + 8 * h + g;
        const unsigned row = wanted < p.n ? wanted : p.n - 1;
        w.first_run[r][h] = row * (p.k / 64);
      }
  }

  /// Loads the step that comes next; nothing is read where there is none.
  ASSAY_INLINE void load_next(Walk& w, Stage& s) const {
    const unsigned end = w.load_tile < tiles ? p.k : 0, first = w.load_step * kStep;
    const bool has_absmax = first + 64 * t < end;
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const unsigned run = w.first_run[r][h] + 4 * w.load_step;
        const std::uint8_t* const at = w.packed + 32 * static_cast<std::uint64_t>(run);
#pragma unroll
        for (int group = 0; group < kGroups; ++group) {
          const bool valid = first + 64 * P * group + 16 * P * t < end;
          std::uint32_t* const to = &s.words[r][h][group * kWords];
          if constexpr (P == 1) {
            const uint2 v = stream8(at + 32 * group, valid, policy);
            to[0] = v.x, to[1] = v.y;
          } else {
#pragma unroll
            for (int i = 0; i < P / 2; ++i) {
              const uint4 v = stream16(at + 32 * P * group + 16 * i, valid, policy);
              to[4 * i] = v.x, to[4 * i + 1] = v.y, to[4 * i + 2] = v.z, to[4 * i + 3] = v.w;
            }
          }
        }
        const unsigned block = (run + t) >> (p.block_shift - 6);
        s.codes[r][h] = 0, s.levels[r][h] = 0.0f;
        if (has_absmax) {
          if (p.absmax_codes != nullptr)
            s.codes[r][h] = load_statistic(p.absmax_codes + block);
          s.levels[r][h] = p.absmax_codes != nullptr
                               ? load_statistic(p.nested_absmax + (block >> p.nested_shift))
                               : load_statistic(p.absmax + block);
        }
      }
    w.load_step += kWarps;
    if (w.load_step >= steps_a_warp * kWarps) {
      w.load_step = warp, w.load_tile += grid_blocks();
      begin_tile(w);
    }
  }

  template <int kByte>
  ASSAY_INLINE static std::uint32_t pair(const Walk& w, std::uint32_t word) {
    return load_shared(byte_of<kByte>(word) * 128 + w.pairs);
  }

  ASSAY_INLINE void sum_step(Walk& walk, const Stage& s) const {
    float absmax[kRowTiles][2];
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
      for (int h = 0; h < 2; ++h)
        absmax[r][h] = p.absmax_codes != nullptr
                           ? multiply_then_add(nested_code[s.codes[r][h]], s.levels[r][h], walk.offset)
                           : s.levels[r][h];
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      float c[kRowTiles][kColumnTiles][4] = {};
#pragma unroll
      for (int word = 0; word < kWords; ++word) {
        uint4 x[kColumnTiles];
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
          const unsigned place =
              walk.step * kStep + 64 * P * group;  // of a run of 16·P that is whole or absent
          x[j] = load16(walk.x[j] + place + 8 * word, place < walk.x_end[j]);
        }
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r) {
          const std::uint32_t top = s.words[r][0][group * kWords + word],
                              bottom = s.words[r][1][group * kWords + word];
          const std::uint32_t first[4] = {pair<0>(walk, top), pair<0>(walk, bottom), pair<1>(walk, top),
                                          pair<1>(walk, bottom)};
          const std::uint32_t second[4] = {pair<2>(walk, top), pair<2>(walk, bottom), pair<3>(walk, top),
                                           pair<3>(walk, bottom)};
#pragma unroll
          for (int j = 0; j < kColumnTiles; ++j) {
            multiply_add<T>(c[r][j], first, x[j].x, x[j].y);
            multiply_add<T>(c[r][j], second, x[j].z, x[j].w);
          }
        }
      }
      // Columns 2t and 2t + 1 belong to these blocks of the step, whose absmax another lane of the four has.
      const unsigned low = P == 4 ? 2 * (t % 2) : P * group, high = P == 1 ? low : low + 1;
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const float a = shuffle(absmax[r][h], (lane & 28u) | low);
          const float b = P == 1 ? a : shuffle(absmax[r][h], (lane & 28u) | high);
#pragma unroll
          for (int j = 0; j < kColumnTiles; ++j) {
            float(&to)[2] = walk.total.value[r][j][h];
            to[0] = fused(a, c[r][j][2 * h], to[0]);
            to[P == 1] = fused(b, c[r][j][2 * h + 1], to[P == 1]);
          }
        }
    }
  }

  /// This warp's sums to shared memory, [column][row].
  ASSAY_INLINE void put_sums(const Sums& s, float* to) const {
    to += warp * kColumns * kRows;
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const unsigned row = 16 * r + 8 * h + g;
        if constexpr (P == 4) {
          const float both = s.value[r][0][h][0] + shuffle(s.value[r][0][h][0], lane ^ 1u);
          if (t % 2 == 0)
            to[t / 2 * kRows + row] = both;
        } else if constexpr (P == 2) {
          to[t * kRows + row] = s.value[r][0][h][0];
        } else {
#pragma unroll
          for (int j = 0; j < kColumnTiles; ++j) {
            to[(8 * j + 2 * t) * kRows + row] = s.value[r][j][h][0];
            to[(8 * j + 2 * t + 1) * kRows + row] = s.value[r][j][h][1];
          }
        }
      }
  }

  ASSAY_INLINE void store_tile(unsigned tile, const float* from) const {
    for (unsigned i = thread_index(); i < kColumns * kRows; i += kThreads) {
      const unsigned column = i / kRows, row = tile * kRows + i % kRows;
      if (column >= p.m || row >= p.n)
        continue;
      float total = 0.0f;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) total += from[w * kColumns * kRows + i];
      total *= p.inverse_table_scale;
      if (p.bias != nullptr)
        total += widen(static_cast<const T*>(p.bias)[row]);
      static_cast<T*>(p.y)[column * p.ldy + row] = narrow<T>(total);
    }
  }

  /// Sums the step in `stage` and loads a later one into it; at the end of a tile, stores it. False: all
  /// done.
  ASSAY_INLINE bool advance(Walk& w, Stage& stage) const {
    if (w.tile >= tiles)
      return false;
    if (w.step < steps)
      sum_step(w, stage);
    load_next(w, stage);
    w.step += kWarps;
    if (w.step >= steps_a_warp * kWarps) {
      // Two buffers take turns: who writes one again has passed the wait behind which it was read.
      float* const buffer = sums + w.parity * kSumsFloats;
      put_sums(w.total, buffer);
      wait_for_block();
      store_tile(w.tile, buffer);
      w.total = {};
      w.parity ^= 1u;
      w.step = warp, w.tile += grid_blocks();
    }
    return true;
  }

  ASSAY_INLINE void run() {
    allow_next_grid();
    if (!p.weights_are_constant)
      wait_for_previous_grid();
    Walk walk;
    Stage first, second;
    begin_walk(walk);
    load_next(walk, first);
    load_next(walk, second);
    walk.offset = p.absmax_codes != nullptr ? load_statistic(p.nested_offset) : 0.0f;
    build_tables();
    wait_for_block();
    if (p.weights_are_constant)
      wait_for_previous_grid();
    while (advance(walk, first) && advance(walk, second)) {
    }
  }
};

}  // namespace assay::kernels::nf4::device
