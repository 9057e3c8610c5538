// SPDX-License-Identifier: Apache-2.0
// d_q on sm_90a: a block of threads makes 128 rows for one head. One warpgroup feeds tiles of 64 keys, two
// multiply (wgmma), 64 queries each, whose q and d_o stay in registers, so that shared memory feeds right
// operands alone. Scores are made a second time; nothing is added in memory, so the result does not depend on
// any order.
#pragma once

#include "kernels/attention/device/backward_score.cuh"
#include "kernels/attention/device/hopper_tiles.cuh"

namespace assay::kernels::attention::device {

template <class Setup>
class BackwardQueriesHopper {
  using Element = typename Setup::Element;
  static constexpr int kHeadSize = Setup::kHeadSize, kStages = Setup::kStages;
  static_assert(kStages >= 2, "the next scores begin before a stage is given back");
  using Tiles = HopperTiles<Element, kHeadSize, kHalfBlock>;
  using Left = typename Tiles::Left;
  using Sums = float[kHeadSize / 8][4];
  static constexpr int kTileBytes = Tiles::kBytes, kParts = kBlock / kHalfBlock;
  /// A score_mod takes the registers of d_o.
  static constexpr bool kGradientsInRegisters = !Setup::kHasScore || kHeadSize == 64;

  struct Barriers {
    Barrier own_full;
    Barrier full[kStages], empty[kStages];
  };
  enum { kTurn = 1, kMine = 3 };  // named barriers: kTurn + w, kMine + w of warpgroup w
  using Turn = Turns<Setup::kTurns, kTurn>;

 public:
  static constexpr int kSharedBytes = (4 + 2 * kStages) * kTileBytes + 256;
  static_assert(sizeof(Barriers) <= 256);

  static ASSAY_INLINE void run(const BackwardHopperParams& p) {
    const Problem& problem = p.base.problem;
    const int head = block_index() % problem.q_heads;
    const int place_index = problem.tables.q_capacity - 1 - block_index() / problem.q_heads;
    const BlockPlace place = problem.tables.q_places[place_index];
    if (place.sequence < 0)
      return;
    BackwardQueriesHopper(p, place, head, k_blocks_of(problem.tables, place_index, place.block, head))
        .make_rows();
  }

 private:
  ASSAY_INLINE BackwardQueriesHopper(const BackwardHopperParams& p, const BlockPlace& place, int head,
                                     const BlockList& list)
      : p_(p),
        q_rows_(q_rows_of(p.base.problem, place.sequence)),
        k_rows_(k_rows_of(p.base.problem, place.sequence)),
        buffers_(p.base.problem.buffers, q_rows_.count, k_rows_.count),
        list_(list),
        sequence_(place.sequence),
        head_(head),
        q0_(place.block * kBlock) {
    tiles_ = shared_memory();
    barriers_ = reinterpret_cast<Barriers*>(tiles_ + kSharedBytes - 256);
  }

  ASSAY_INLINE char* q_tile(int warpgroup) const { return tiles_ + warpgroup * kTileBytes; }
  ASSAY_INLINE char* d_o_tile(int warpgroup) const { return tiles_ + (2 + warpgroup) * kTileBytes; }
  ASSAY_INLINE char* k_tile(int step) const { return tiles_ + (4 + 2 * (step % kStages)) * kTileBytes; }
  ASSAY_INLINE char* v_tile(int step) const { return k_tile(step) + kTileBytes; }
  static ASSAY_INLINE int parity(int step) { return step / kStages % 2; }
  static ASSAY_INLINE int key_of(int entry, int step) {
    return entry / 2 * kBlock + step % kParts * kHalfBlock;
  }

  ASSAY_INLINE void make_rows() {
    if (thread_index() == 0) {
      begin_barrier(&barriers_->own_full, 1);
      for (int i = 0; i < kStages; ++i) {
        begin_barrier(&barriers_->full[i], 1);
        begin_barrier(&barriers_->empty[i], kWorkers / 32);
      }
      publish_barriers();
    }
    wait_for_block();
    if (thread_index() < kWarpgroup) {
      give_registers<24>();
      if (thread_index() == 0 && list_.count > 0)
        feed();
    } else {
      take_registers<240>();
      work();
    }
  }

  // The feeding thread.

  ASSAY_INLINE void feed() const {
    const int sequence = p_.base.problem.q_starts == nullptr ? sequence_ : 0;
    const int kv_head = head_ / (p_.base.problem.q_heads / p_.base.problem.kv_heads);
    prefetch_map(p_.q), prefetch_map(p_.d_o), prefetch_map(p_.k), prefetch_map(p_.v);
    arrive_expecting(&barriers_->own_full, 4 * kTileBytes);
    for (int w = 0; w < 2; ++w) {
      const int row = q_rows_.begin + q0_ + w * kHalfBlock;
      Tiles::copy(q_tile(w), p_.q, &barriers_->own_full, head_, row, sequence);
      Tiles::copy(d_o_tile(w), p_.d_o, &barriers_->own_full, head_, row, sequence);
    }
    for (int step = 0; step < list_.count * kParts; ++step) {
      const int row = k_rows_.begin + key_of(list_.entries[step / kParts], step);
      Barrier* const full = &barriers_->full[step % kStages];
      wait_for(&barriers_->empty[step % kStages], parity(step) ^ 1);
      arrive_expecting(full, 2 * kTileBytes);
      Tiles::copy(k_tile(step), p_.k, full, kv_head, row, sequence);
      Tiles::copy(v_tile(step), p_.v, full, kv_head, row, sequence);
    }
  }

  // The working warpgroups.

  /// Of this thread's rows, which are eight apart.
  ASSAY_INLINE int my_query() const {
    return q0_ + my_warpgroup() * kHalfBlock + my_warps_row() + lane_index() / 4;
  }

  /// In the queue of this warpgroup's products: s, dp, d_q of the step before, … Probabilities are made while
  /// the latter two are multiplied.
  ASSAY_INLINE void work() const {
    float s[8][4] = {}, dp[8][4] = {};
    Sums d_q;
    unsigned ds[4][4] = {};
#pragma unroll
    for (int n = 0; n < kHeadSize / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) d_q[n][e] = 0.0f;
    const int steps = list_.count * kParts;
    if (steps > 0) {
      Statistics of[2];
      load_statistics(of);
      Left q, d_o;
      Turn::begin();
      wait_for(&barriers_->own_full, 0);
      Tiles::load(q, q_tile(my_warpgroup()), my_warps_row());
      if constexpr (kGradientsInRegisters)
        Tiles::load(d_o, d_o_tile(my_warpgroup()), my_warps_row());
      wait_for(&barriers_->full[0], 0);
      Turn::wait();
      pin(s), pin(dp), pin(q);
      if constexpr (kGradientsInRegisters)
        pin(d_o);
      fence_products();
      begin_scores(s, dp, q, d_o, 0);
      Turn::hand_over(steps == 1);
      int entry = list_.entries[0];
      wait_for_products<1>();
      pin(s);
      find_probabilities(s, of, entry, 0);
      wait_for_products<0>();
      pin(dp);
      find_gradients(s, dp, of, entry);
      Tiles::round(dp, ds);
      for (int step = 1; step < steps; ++step) {
        wait_for(&barriers_->full[step % kStages], parity(step));
        Turn::wait();
        pin(s), pin(dp), pin(d_q), pin(ds);
        fence_products();
        begin_scores(s, dp, q, d_o, step);
        begin_sums(d_q, ds, step - 1);
        Turn::hand_over(step == steps - 1);
        entry = list_.entries[step / kParts];
        wait_for_products<2>();
        pin(s);
        find_probabilities(s, of, entry, step);
        wait_for_products<1>();
        pin(dp);
        find_gradients(s, dp, of, entry);
        wait_for_products<0>();
        pin(d_q);
        release(&barriers_->empty[(step - 1) % kStages]);
        Tiles::round(dp, ds);
      }
      pin(d_q), pin(ds);
      fence_products();
      begin_sums(d_q, ds, steps - 1);
      wait_for_products<0>();
      pin(d_q);
    }
    store(d_q);
  }

  ASSAY_INLINE void load_statistics(Statistics (&of)[2]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = my_query() + half * 8;
      const bool inside = row < q_rows_.count;
      const int from = q_rows_.begin + (inside ? row : 0);
      of[half] = {inside ? shift_of(*rows_at(p_.base.lse, sequence_, head_, from)) : infinity(),
                  inside ? *rows_at(p_.base.delta, sequence_, head_, from) : 0.0f};
    }
  }

  ASSAY_INLINE void begin_scores(float (&s)[8][4], float (&dp)[8][4], const Left& q, const Left& d_o,
                                 int step) const {
    Tiles::begin_rows(s, q, k_tile(step));
    commit_products();
    if constexpr (kGradientsInRegisters)
      Tiles::begin_rows(dp, d_o, v_tile(step));
    else
      Tiles::begin_rows(dp, d_o_tile(uniform(my_warpgroup())), v_tile(step));
    commit_products();
  }
  ASSAY_INLINE void begin_sums(Sums& d_q, const unsigned (&ds)[4][4], int step) const {
    Tiles::begin_columns(d_q, ds, k_tile(step));
    commit_products();
  }
  ASSAY_INLINE void find_probabilities(float (&s)[8][4], const Statistics (&of)[2], int entry,
                                       int step) const {
    const int k0 = key_of(entry, step);
    if (entry % 2 != 0) {
      weigh_tile<false>(s, of, k0);
    } else {
      weigh_tile<true>(s, of, k0);
      clear_foreign_rows(k0, step);
    }
  }
  template <bool kPartial>
  ASSAY_INLINE void weigh_tile(float (&s)[8][4], const Statistics (&of)[2], int k0) const {
    const float scale = p_.base.problem.scale;
    const int query = my_query(), key = k0 + lane_index() % 4 * 2;
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        weigh<Setup, kPartial>(s[n][e], scale, of[e / 2].shift,
                               {sequence_, head_, query + e / 2 * 8, key + n * 8 + e % 2}, buffers_);
  }

  ASSAY_INLINE void find_gradients(const float (&s)[8][4], float (&dp)[8][4], const Statistics (&of)[2],
                                   int entry) const {
    if (entry % 2 != 0)
      differentiate_tile<false>(s, dp, of);
    else
      differentiate_tile<true>(s, dp, of);
  }
  template <bool kPartial>
  ASSAY_INLINE void differentiate_tile(const float (&s)[8][4], float (&dp)[8][4],
                                       const Statistics (&of)[2]) const {
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) dp[n][e] = gradient_of<Setup, kPartial>(s[n][e], dp[n][e], of[e / 2].delta);
  }

  /// Packed, behind the sequence's last key lie the next one's: their ds are 0, but 0 · NaN is not. Each
  /// warpgroup for itself, as in BackwardKeysHopper.
  ASSAY_INLINE void clear_foreign_rows(int k0, int step) const {
    const int left = k_rows_.count - k0, valid = left > 0 ? left : 0;
    if (valid >= kHalfBlock || p_.base.problem.k_starts == nullptr)
      return;
    Tiles::clear_rows(k_tile(step), valid, thread_index() % kWarpgroup, kWarpgroup);
    meet(kMine + my_warpgroup(), kWarpgroup);
  }

  /// Through the warp's own rows of the query tile, which it has in registers.
  ASSAY_INLINE void store(const Sums& d_q) const {
    wait_for_warp();
    const float scale = p_.base.problem.scale;
    const int first = q0_ + my_warpgroup() * kHalfBlock;
    Tiles::store(d_q, {scale, scale}, q_tile(my_warpgroup()), my_warps_row(),
                 rows_at(p_.base.d_q, sequence_, head_, q_rows_.begin + first), q_rows_.count - first);
  }

  const BackwardHopperParams& p_;
  const Rows q_rows_, k_rows_;
  const Buffers buffers_;
  const BlockList list_;
  const int sequence_, head_, q0_;
  char* tiles_;
  Barriers* barriers_;
};

}  // namespace assay::kernels::attention::device
