// SPDX-License-Identifier: Apache-2.0
// d_k and d_v with mma.sync: a block of threads makes kTileK rows of both for one key head, over all query
// heads of its group and their query tiles, in a fixed order; also the gradients of learnable buffers. Warps
// own rows of keys, and scores are made transposed (sᵀ = k·qᵀ), so that pᵀ and dsᵀ go from accumulators
// straight into the next products.
#pragma once

#include "kernels/attention/device/backward_score.cuh"
#include "kernels/attention/device/tiles.cuh"

namespace assay::kernels::attention::device {

template <class Setup>
class BackwardKeys {
  using Element = typename Setup::Element;
  static constexpr int kHeadSize = Setup::kHeadSize, kTileQ = Setup::kTileQ, kTileK = Setup::kTileK;
  static constexpr int kWarps = Setup::kWarps, kThreads = 32 * kWarps, kStages = Setup::kStages;
  static constexpr int kLearnable = Setup::kLearnable, kRow = kRowBytes<kHeadSize>;
  static constexpr int kStageBytes = 2 * kTileQ * kRow + 2 * kTileQ * 4;
  static_assert(kWarps * 16 == kTileK && kBlock % kTileQ == 0 && kBlock % kTileK == 0 && kTileQ <= kThreads);

  /// A query tile: which head, which entry of its list, which part of the block.
  struct Step {
    int head_in_group = 0, entry = 0, part = 0;
    BlockList list = {nullptr, 0};
  };

 public:
  static constexpr int kSharedBytes = 2 * kTileK * kRow + kStages * kStageBytes;

  static ASSAY_INLINE void run(const BackwardParams& p) {
    const Problem& problem = p.problem;
    constexpr int kParts = kBlock / kTileK;
    const int kv_head = block_index() % problem.kv_heads, tile = block_index() / problem.kv_heads;
    const int place_index = tile / kParts;
    const BlockPlace place = problem.tables.k_places[place_index];
    if (place.sequence < 0)
      return;
    const Rows k_rows = k_rows_of(problem, place.sequence);
    const int k0 = place.block * kBlock + tile % kParts * kTileK;
    if (k0 < k_rows.count)
      BackwardKeys(p, place_index, place, k_rows, kv_head, k0).make_rows();
  }

 private:
  ASSAY_INLINE BackwardKeys(const BackwardParams& p, int place_index, const BlockPlace& place,
                            const Rows& k_rows, int kv_head, int k0)
      : p_(p),
        q_rows_(q_rows_of(p.problem, place.sequence)),
        k_rows_(k_rows),
        buffers_(p.problem.buffers, q_rows_.count, k_rows.count),
        place_index_(place_index),
        place_(place),
        kv_head_(kv_head),
        k0_(k0),
        group_(p.problem.q_heads / p.problem.kv_heads),
        my_rows_(thread_index() / 32 * 16) {
    k_tile_ = shared_memory();
    v_tile_ = k_tile_ + kTileK * kRow;
    stages_ = v_tile_ + kTileK * kRow;
    set_zero<1, kHeadSize>(d_k_);
    set_zero<1, kHeadSize>(d_v_);
  }

  ASSAY_INLINE int head_of(const Step& step) const { return kv_head_ * group_ + step.head_in_group; }
  ASSAY_INLINE int query_of(const Step& step) const {
    return step.list.entries[step.entry] / 2 * kBlock + step.part * kTileQ;
  }
  ASSAY_INLINE void open_list(Step& step) const {
    for (; step.head_in_group < group_; ++step.head_in_group) {
      step.list = q_blocks_of(p_.problem.tables, place_index_, place_.block, head_of(step));
      if (step.list.count > 0)
        return;
    }
  }
  ASSAY_INLINE bool is_past(const Step& step) const { return step.head_in_group == group_; }
  ASSAY_INLINE void advance(Step& step) const {
    if (++step.part < kBlock / kTileQ)
      return;
    step.part = 0;
    if (++step.entry < step.list.count)
      return;
    step.entry = 0;
    ++step.head_in_group;
    open_list(step);
  }

  ASSAY_INLINE char* stage(int i) const { return stages_ + i % kStages * kStageBytes; }

  /// Begins copying q, d_o, lse and delta of one step; commits, also where nothing is left.
  ASSAY_INLINE void copy_step(const Step& step, int i) {
    if (!is_past(step)) {
      const int head = head_of(step), q0 = query_of(step), valid = q_rows_.count - q0;
      char* const to = stage(i);
      copy_tile<kHeadSize, kTileQ, kThreads>(to, rows_at(p_.q, place_.sequence, head, q_rows_.begin + q0),
                                             valid);
      copy_tile<kHeadSize, kTileQ, kThreads>(
          to + kTileQ * kRow, rows_at(p_.d_o, place_.sequence, head, q_rows_.begin + q0), valid);
      const int row = thread_index();
      if (row < kTileQ) {
        float* const statistics = reinterpret_cast<float*>(to + 2 * kTileQ * kRow);
        const int from = q_rows_.begin + (row < valid ? q0 + row : 0);
        copy4(statistics + row, rows_at(p_.lse, place_.sequence, head, from), row < valid);
        copy4(statistics + kTileQ + row, rows_at(p_.delta, place_.sequence, head, from), row < valid);
      }
    }
    commit_copies();
  }

  ASSAY_INLINE void make_rows() {
    copy_tile<kHeadSize, kTileK, kThreads>(
        k_tile_, rows_at(p_.k, place_.sequence, kv_head_, k_rows_.begin + k0_), k_rows_.count - k0_);
    copy_tile<kHeadSize, kTileK, kThreads>(
        v_tile_, rows_at(p_.v, place_.sequence, kv_head_, k_rows_.begin + k0_), k_rows_.count - k0_);
    Step step, ahead;
    open_list(step);
    ahead = step;
    for (int i = 0; i < kStages - 1; ++i) {
      copy_step(ahead, i);
      if (!is_past(ahead))
        advance(ahead);
    }
    for (int i = 0; !is_past(step); ++i, advance(step)) {
      if constexpr (kStages > 1) {
        wait_for_copies<kStages - 2>();
        wait_for_block();  // this stage is here, everyone is done with the one before it
        copy_step(ahead, i + kStages - 1);
        if (!is_past(ahead))
          advance(ahead);
      } else {
        wait_for_block();
        copy_step(step, i);
        wait_for_copies<0>();
        wait_for_block();
      }
      if (step.list.entries[step.entry] % 2 != 0)
        add_step<false>(step, stage(i));
      else
        add_step<true>(step, stage(i));
    }
    commit_copies();  // of a single stage, where no step did it
    wait_for_copies<0>();
    wait_for_block();  // where no query came, the keys are still on their way into the tile that results go
                       // through
    learnable_.finish(p_);
    store();
  }

  template <bool kPartial>
  ASSAY_INLINE void add_step(const Step& step, const char* tiles) {
    const char* const q_tile = tiles;
    const char* const d_o_tile = tiles + kTileQ * kRow;
    const float* const lse = reinterpret_cast<const float*>(tiles + 2 * kTileQ * kRow);
    Accumulator<1, kTileQ> s, dp;
    set_zero<1, kTileQ>(s);
    set_zero<1, kTileQ>(dp);
    multiply_rows<Element, 1, kTileQ, kHeadSize>(s, k_tile_ + my_rows_ * kRow, q_tile);
    multiply_rows<Element, 1, kTileQ, kHeadSize>(dp, v_tile_ + my_rows_ * kRow, d_o_tile);
    const int g = lane_index() / 4, t = lane_index() % 4, q0 = query_of(step);
    const auto column = [&](int n, int e) { return n * 8 + t * 2 + e % 2; };
    differentiate_all<Setup, kPartial, kLearnable>(
        p_, s[0], dp[0],
        [&](int n, int e) {
          return Place{place_.sequence, head_of(step), q0 + column(n, e), k0_ + my_rows_ + e / 2 * 8 + g};
        },
        [&](int n, int e) {
          return Statistics{shift_of(lse[column(n, e)]), lse[kTileQ + column(n, e)]};
        },
        buffers_, learnable_);
    multiply_columns<Element, 1, kTileQ, kHeadSize>(d_v_, s, d_o_tile);
    multiply_columns<Element, 1, kTileQ, kHeadSize>(d_k_, dp, q_tile);
  }

  ASSAY_INLINE void store() {
    const int valid = k_rows_.count - k0_ - my_rows_, row = k_rows_.begin + k0_ + my_rows_;
    const float scale[1][2] = {{p_.problem.scale, p_.problem.scale}}, one[1][2] = {{1.0f, 1.0f}};
    store_rows<Element, 1, kHeadSize>(d_k_, scale, k_tile_ + my_rows_ * kRow,
                                      rows_at(p_.d_k, place_.sequence, kv_head_, row), valid);
    store_rows<Element, 1, kHeadSize>(d_v_, one, v_tile_ + my_rows_ * kRow,
                                      rows_at(p_.d_v, place_.sequence, kv_head_, row), valid);
  }

  const BackwardParams& p_;
  const Rows q_rows_, k_rows_;
  const Buffers buffers_;
  const int place_index_;
  const BlockPlace place_;
  const int kv_head_, k0_, group_;
  const int my_rows_;
  char *k_tile_, *v_tile_, *stages_;
  Accumulator<1, kHeadSize> d_k_, d_v_;
  LearnableSums<kLearnable> learnable_;
};

}  // namespace assay::kernels::attention::device
