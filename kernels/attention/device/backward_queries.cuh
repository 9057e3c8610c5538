// SPDX-License-Identifier: Apache-2.0
// d_q with mma.sync: a block of threads makes kTileQ rows for one head, over key tiles of kTileK. Scores are
// made a second time; nothing is added in memory, so the result does not depend on any order.
#pragma once

#include "kernels/attention/device/backward_score.cuh"
#include "kernels/attention/device/tiles.cuh"

namespace assay::kernels::attention::device {

template <class Setup>
class BackwardQueries {
  using Element = typename Setup::Element;
  static constexpr int kHeadSize = Setup::kHeadSize, kTileQ = Setup::kTileQ, kTileK = Setup::kTileK;
  static constexpr int kWarps = Setup::kWarps, kThreads = 32 * kWarps, kStages = Setup::kStages;
  static constexpr int kStepsPerBlock = kBlock / kTileK, kRow = kRowBytes<kHeadSize>;
  static constexpr int kStageBytes = 2 * kTileK * kRow;
  static_assert(kWarps * 16 == kTileQ && kBlock % kTileQ == 0 && kBlock % kTileK == 0);

 public:
  static constexpr int kSharedBytes = 2 * kTileQ * kRow + kStages * kStageBytes;

  static ASSAY_INLINE void run(const BackwardParams& p) {
    const Problem& problem = p.problem;
    constexpr int kParts = kBlock / kTileQ;
    const int head = block_index() % problem.q_heads;
    const int tile = problem.tables.q_capacity * kParts - 1 - block_index() / problem.q_heads;
    const int place_index = tile / kParts;
    const BlockPlace place = problem.tables.q_places[place_index];
    if (place.sequence < 0)
      return;
    const Rows q_rows = q_rows_of(problem, place.sequence);
    const int q0 = place.block * kBlock + tile % kParts * kTileQ;
    if (q0 < q_rows.count)
      BackwardQueries(p, place, q_rows, head, q0)
          .make_rows(k_blocks_of(problem.tables, place_index, place.block, head));
  }

 private:
  ASSAY_INLINE BackwardQueries(const BackwardParams& p, const BlockPlace& place, const Rows& q_rows, int head,
                               int q0)
      : p_(p),
        q_rows_(q_rows),
        k_rows_(k_rows_of(p.problem, place.sequence)),
        buffers_(p.problem.buffers, q_rows.count, k_rows_.count),
        sequence_(place.sequence),
        head_(head),
        q0_(q0),
        my_rows_(thread_index() / 32 * 16) {
    const int kv_head = head / (p.problem.q_heads / p.problem.kv_heads);
    k_ = rows_at(p.k, sequence_, kv_head, k_rows_.begin);
    v_ = rows_at(p.v, sequence_, kv_head, k_rows_.begin);
    q_tile_ = shared_memory();
    d_o_tile_ = q_tile_ + kTileQ * kRow;
    stages_ = d_o_tile_ + kTileQ * kRow;
    set_zero<1, kHeadSize>(d_q_);
    for (int half = 0; half < 2; ++half) {
      const int row = q0 + my_rows_ + half * 8 + lane_index() / 4;
      const bool inside = row < q_rows.count;
      const int from = q_rows.begin + (inside ? row : 0);
      statistics_[half] = {inside ? shift_of(*rows_at(p.lse, sequence_, head, from)) : infinity(),
                           inside ? *rows_at(p.delta, sequence_, head, from) : 0.0f};
    }
  }

  ASSAY_INLINE char* stage(int step) const { return stages_ + step % kStages * kStageBytes; }
  static ASSAY_INLINE int key_of(const BlockList& list, int step) {
    return list.entries[step / kStepsPerBlock] / 2 * kBlock + step % kStepsPerBlock * kTileK;
  }

  ASSAY_INLINE void copy_step(const BlockList& list, int step) {
    if (step < list.count * kStepsPerBlock) {
      const int k0 = key_of(list, step), valid = k_rows_.count - k0;
      copy_tile<kHeadSize, kTileK, kThreads>(stage(step), k_.advanced(k0), valid);
      copy_tile<kHeadSize, kTileK, kThreads>(stage(step) + kTileK * kRow, v_.advanced(k0), valid);
    }
    commit_copies();
  }

  ASSAY_INLINE void make_rows(const BlockList& list) {
    const int row = q_rows_.begin + q0_, valid = q_rows_.count - q0_;
    copy_tile<kHeadSize, kTileQ, kThreads>(q_tile_, rows_at(p_.q, sequence_, head_, row), valid);
    copy_tile<kHeadSize, kTileQ, kThreads>(d_o_tile_, rows_at(p_.d_o, sequence_, head_, row), valid);
    for (int step = 0; step < kStages - 1; ++step) copy_step(list, step);
    for (int step = 0; step < list.count * kStepsPerBlock; ++step) {
      if constexpr (kStages > 1) {
        wait_for_copies<kStages - 2>();
        wait_for_block();  // this stage is here, everyone is done with the one before it
        copy_step(list, step + kStages - 1);
      } else {
        wait_for_block();
        copy_step(list, step);
        wait_for_copies<0>();
        wait_for_block();
      }
      if (list.entries[step / kStepsPerBlock] % 2 != 0)
        add_step<false>(key_of(list, step), stage(step));
      else
        add_step<true>(key_of(list, step), stage(step));
    }
    commit_copies();  // of a single stage, where no step did it
    wait_for_copies<0>();
    wait_for_block();  // where no key came, the queries are still on their way into the tile that results go
                       // through
    const float scale[1][2] = {{p_.problem.scale, p_.problem.scale}};
    store_rows<Element, 1, kHeadSize>(d_q_, scale, q_tile_ + my_rows_ * kRow,
                                      rows_at(p_.d_q, sequence_, head_, row + my_rows_), valid - my_rows_);
  }

  template <bool kPartial>
  ASSAY_INLINE void add_step(int k0, const char* tiles) {
    Accumulator<1, kTileK> s, dp;
    set_zero<1, kTileK>(s);
    set_zero<1, kTileK>(dp);
    multiply_rows<Element, 1, kTileK, kHeadSize>(s, q_tile_ + my_rows_ * kRow, tiles);
    multiply_rows<Element, 1, kTileK, kHeadSize>(dp, d_o_tile_ + my_rows_ * kRow, tiles + kTileK * kRow);
    const int g = lane_index() / 4, t = lane_index() % 4;
    LearnableSums<0> none;
    differentiate_all<Setup, kPartial, 0>(
        p_, s[0], dp[0],
        [&](int n, int e) {
          return Place{sequence_, head_, q0_ + my_rows_ + e / 2 * 8 + g, k0 + n * 8 + t * 2 + e % 2};
        },
        [&](int, int e) { return statistics_[e / 2]; }, buffers_, none);
    multiply_columns<Element, 1, kTileK, kHeadSize>(d_q_, dp, tiles);
  }

  const BackwardParams& p_;
  const Rows q_rows_, k_rows_;
  const Buffers buffers_;
  const int sequence_, head_, q0_;
  const int my_rows_;
  RowPointer k_, v_;
  char *q_tile_, *d_o_tile_, *stages_;
  Accumulator<1, kHeadSize> d_q_;
  Statistics statistics_[2];
};

}  // namespace assay::kernels::attention::device
