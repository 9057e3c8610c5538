// SPDX-License-Identifier: Apache-2.0
// d_k and d_v on sm_90a: a block of threads makes 128 rows of both for one key head, over all query heads of
// its group and their query tiles, in a fixed order. One warpgroup feeds tiles of 64 queries, two multiply
// (wgmma), 64 keys each. Scores are made transposed (sᵀ = k·qᵀ), so that pᵀ and dsᵀ go from registers
// straight into d_v += pᵀ·d_o and d_k += dsᵀ·q. The tensor cores have work of the same warpgroup while it
// makes probabilities and gradients.
#pragma once

#include "kernels/attention/device/backward_score.cuh"
#include "kernels/attention/device/hopper_tiles.cuh"

namespace assay::kernels::attention::device {

template <class Setup>
class BackwardKeysHopper {
  using Element = typename Setup::Element;
  static constexpr int kHeadSize = Setup::kHeadSize, kStages = Setup::kStages;
  static_assert(Setup::kLearnable == 0, "gradients of learnable buffers are summed by BackwardKeys");
  static_assert(kStages >= 2, "the next scores begin before a stage is given back");
  using Tiles = HopperTiles<Element, kHeadSize, kHalfBlock>;
  using Sums = float[kHeadSize / 8][4];
  static constexpr int kTileBytes = Tiles::kBytes, kStatisticsBytes = kHalfBlock * 8;

  /// Parts of eight queries weighed while d_k is multiplied.
  static constexpr int kEarly = kHeadSize == 64 ? 4 : 2;

  struct alignas(8) TwoFloats {
    float of[2];
  };

  /// A tile of queries: which head, which rows, and whether the mask shows all of its block.
  struct alignas(16) Step {
    int head, q0, full;
  };
  struct Barriers {
    Barrier own_full;
    Barrier full[kStages], empty[kStages];
    Step steps[kStages];
  };
  enum { kTurn = 1, kMine = 3 };  // named barriers: kTurn + w, kMine + w of warpgroup w
  using Turn = Turns<Setup::kTurns, kTurn>;

 public:
  static constexpr int kSharedBytes = (4 + 2 * kStages) * kTileBytes + kStages * kStatisticsBytes + 256;
  static_assert(sizeof(Barriers) <= 256);

  static ASSAY_INLINE void run(const BackwardHopperParams& p) {
    const Problem& problem = p.base.problem;
    const int kv_head = block_index() % problem.kv_heads, place_index = block_index() / problem.kv_heads;
    const BlockPlace place = problem.tables.k_places[place_index];
    if (place.sequence >= 0)
      BackwardKeysHopper(p, place_index, place, kv_head).make_rows();
  }

 private:
  ASSAY_INLINE BackwardKeysHopper(const BackwardHopperParams& p, int place_index, const BlockPlace& place,
                                  int kv_head)
      : p_(p),
        q_rows_(q_rows_of(p.base.problem, place.sequence)),
        k_rows_(k_rows_of(p.base.problem, place.sequence)),
        buffers_(p.base.problem.buffers, q_rows_.count, k_rows_.count),
        place_index_(place_index),
        place_(place),
        kv_head_(kv_head),
        first_head_(kv_head * (p.base.problem.q_heads / p.base.problem.kv_heads)),
        end_head_(first_head_ + p.base.problem.q_heads / p.base.problem.kv_heads),
        k0_(place.block * kBlock) {
    tiles_ = shared_memory();
    barriers_ = reinterpret_cast<Barriers*>(tiles_ + kSharedBytes - 256);
  }

  ASSAY_INLINE char* k_tile(int warpgroup) const { return tiles_ + warpgroup * kTileBytes; }
  ASSAY_INLINE char* v_tile(int warpgroup) const { return tiles_ + (2 + warpgroup) * kTileBytes; }
  ASSAY_INLINE char* q_tile(int step) const { return tiles_ + (4 + 2 * (step % kStages)) * kTileBytes; }
  ASSAY_INLINE char* d_o_tile(int step) const { return q_tile(step) + kTileBytes; }
  /// Of the stage's queries: log2(e)·lse, then delta.
  ASSAY_INLINE TwoFloats* shifts(int step) const {
    return reinterpret_cast<TwoFloats*>(tiles_ + (4 + 2 * kStages) * kTileBytes +
                                        step % kStages * kStatisticsBytes);
  }
  ASSAY_INLINE TwoFloats* deltas(int step) const { return shifts(step) + kHalfBlock / 2; }
  static ASSAY_INLINE int parity(int step) { return step / kStages % 2; }

  ASSAY_INLINE BlockList list_of(int head) const {
    return q_blocks_of(p_.base.problem.tables, place_index_, place_.block, head);
  }
  ASSAY_INLINE int count_steps() const {
    int blocks = 0;
    for (int head = first_head_; head < end_head_; ++head) blocks += list_of(head).count;
    return blocks * (kBlock / kHalfBlock);
  }

  ASSAY_INLINE void make_rows() {
    if (thread_index() == 0) {
      begin_barrier(&barriers_->own_full, 1);
      for (int i = 0; i < kStages; ++i) {
        begin_barrier(&barriers_->full[i], 1 + kHalfBlock / 32);  // tiles, statistics
        begin_barrier(&barriers_->empty[i], kWorkers / 32);
      }
      publish_barriers();
    }
    wait_for_block();
    if (thread_index() < kWarpgroup) {
      give_registers<24>();
      if (thread_index() == 0)
        feed_tiles();
      else if (thread_index() >= 32 && thread_index() < 32 + kHalfBlock)
        feed_statistics();
    } else {
      take_registers<240>();
      work(count_steps());
    }
  }

  // The feeding warpgroup.

  /// `feed(step, head, q0, full)` for every tile of queries, when its stage is free.
  template <class Feed>
  ASSAY_INLINE void for_every_step(const Feed& feed) const {
    int step = 0;
    for (int head = first_head_; head < end_head_; ++head) {
      const BlockList list = list_of(head);
#pragma unroll 1
      for (int i = 0; i < list.count * (kBlock / kHalfBlock); ++i, ++step) {
        const int entry = list.entries[i / 2];
        wait_for(&barriers_->empty[step % kStages], parity(step) ^ 1);
        feed(step, head, entry / 2 * kBlock + i % 2 * kHalfBlock, entry % 2);
      }
    }
  }

  ASSAY_INLINE void feed_tiles() const {
    const int sequence = p_.base.problem.q_starts == nullptr ? place_.sequence : 0;
    prefetch_map(p_.k), prefetch_map(p_.v), prefetch_map(p_.q), prefetch_map(p_.d_o);
    for_every_step([&](int step, int head, int q0, int) {
      if (step == 0) {
        arrive_expecting(&barriers_->own_full, 4 * kTileBytes);
        for (int w = 0; w < 2; ++w) {
          const int row = k_rows_.begin + k0_ + w * kHalfBlock;
          Tiles::copy(k_tile(w), p_.k, &barriers_->own_full, kv_head_, row, sequence);
          Tiles::copy(v_tile(w), p_.v, &barriers_->own_full, kv_head_, row, sequence);
        }
      }
      Barrier* const full = &barriers_->full[step % kStages];
      arrive_expecting(full, 2 * kTileBytes);
      Tiles::copy(q_tile(step), p_.q, full, head, q_rows_.begin + q0, sequence);
      Tiles::copy(d_o_tile(step), p_.d_o, full, head, q_rows_.begin + q0, sequence);
    });
  }

  /// Two warps, a query each lane.
  ASSAY_INLINE void feed_statistics() const {
    const int row = thread_index() - 32;
    for_every_step([&](int step, int head, int q0, int full) {
      float lse = -infinity(), delta = 0.0f;
      if (q0 + row < q_rows_.count) {
        lse = *rows_at(p_.base.lse, place_.sequence, head, q_rows_.begin + q0 + row);
        delta = *rows_at(p_.base.delta, place_.sequence, head, q_rows_.begin + q0 + row);
      }
      shifts(step)[row / 2].of[row % 2] = shift_of(lse);
      deltas(step)[row / 2].of[row % 2] = delta;
      if (row == 0)
        barriers_->steps[step % kStages] = {head, q0, full};
      wait_for_warp();
      release(&barriers_->full[step % kStages]);
    });
  }

  // The working warpgroups.

  /// In the queue of this warpgroup's products: s, d_k of the step before, dp, d_v, s, … Half of the
  /// probabilities are made while d_k is multiplied, the other half while dp is, gradients while d_v is.
  ASSAY_INLINE void work(int steps) const {
    float s[8][4] = {}, dp[8][4] = {};
    Sums d_k, d_v;
    unsigned ds[4][4] = {};
#pragma unroll
    for (int n = 0; n < kHeadSize / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) d_k[n][e] = d_v[n][e] = 0.0f;
    if (steps > 0) {
      Turn::begin();
      wait_for(&barriers_->own_full, 0);
      wait_for(&barriers_->full[0], 0);
      Turn::wait();
      pin(s), pin(dp), pin(d_k), pin(d_v);
      fence_products();
      begin_scores(s, uniform(my_warpgroup()), 0);
      commit_products();  // no d_k yet
      begin_gradients(dp, uniform(my_warpgroup()), 0);
      Turn::hand_over(steps == 1);
      add_to_values(s, dp, d_v, 0);
      for (int step = 1; step < steps; ++step) {
        const int worker = uniform(my_warpgroup());
        wait_for(&barriers_->full[step % kStages], parity(step));
        Turn::wait();
        pin(dp);  // ds shall take the registers of p, not lie beside it
        Tiles::round(dp, ds);
        pin(s), pin(dp), pin(d_k), pin(ds);
        fence_products();
        begin_scores(s, worker, step);
        begin_key_sums(d_k, ds, step - 1);
        begin_gradients(dp, worker, step);
        Turn::hand_over(step == steps - 1);
        add_to_values(s, dp, d_v, step);
        pin(d_k);
      }
      Tiles::round(dp, ds);
      pin(d_k), pin(ds);
      fence_products();
      begin_key_sums(d_k, ds, steps - 1);
      wait_for_products<0>();
      pin(d_k);
    }
    store(d_k, d_v);
  }

  /// Ends all products.
  ASSAY_INLINE void add_to_values(float (&s)[8][4], float (&dp)[8][4], Sums& d_v, int step) const {
    unsigned p[4][4];
    wait_for_products<2>();
    pin(s);
    weigh_parts<0, kEarly>(s, p, step);
    wait_for_products<1>();
    if (step > 0)
      release(&barriers_->empty[(step - 1) % kStages]);
    weigh_parts<kEarly, 8>(s, p, step);
    if (!is_full(step))
      clear_foreign_rows(step);
    pin(d_v), pin(p);
    fence_products();
    Tiles::begin_columns(d_v, p, d_o_tile(step));
    commit_products();
    wait_for_products<1>();
    pin(dp);
    if (is_full(step))
      differentiate_tile<false>(s, dp, step);
    else
      differentiate_tile<true>(s, dp, step);
    wait_for_products<0>();
    pin(d_v);
  }
  ASSAY_INLINE void begin_key_sums(Sums& d_k, const unsigned (&ds)[4][4], int step) const {
    Tiles::begin_columns(d_k, ds, q_tile(step));
    commit_products();
  }
  ASSAY_INLINE void begin_scores(float (&s)[8][4], int worker, int step) const {
    Tiles::begin_rows(s, k_tile(worker), q_tile(step));
    commit_products();
  }
  ASSAY_INLINE void begin_gradients(float (&dp)[8][4], int worker, int step) const {
    Tiles::begin_rows(dp, v_tile(worker), d_o_tile(step));
    commit_products();
  }

  ASSAY_INLINE bool is_full(int step) const {
    return barriers_->steps[step % kStages].full != 0;
  }
  template <int kFrom, int kTo>
  ASSAY_INLINE void weigh_parts(float (&s)[8][4], unsigned (&p)[4][4], int step) const {
    if (is_full(step))
      weigh_parts<kFrom, kTo, false>(s, p, step);
    else
      weigh_parts<kFrom, kTo, true>(s, p, step);
  }
  template <int kFrom, int kTo, bool kPartial>
  ASSAY_INLINE void weigh_parts(float (&s)[8][4], unsigned (&p)[4][4], int step) const {
    const Step at = barriers_->steps[step % kStages];
    const float scale = p_.base.problem.scale;
    const int t = lane_index() % 4;
    const int k0 = k0_ + my_warpgroup() * kHalfBlock + my_warps_row() + lane_index() / 4;
#pragma unroll
    for (int n = kFrom; n < kTo; ++n) {
      const TwoFloats shift = shifts(step)[n * 4 + t];
      float of[4];
#pragma unroll
      for (int e = 0; e < 4; ++e)
        of[e] = weigh<Setup, kPartial>(
            s[n][e], scale, shift.of[e % 2],
            {place_.sequence, at.head, at.q0 + n * 8 + t * 2 + e % 2, k0 + e / 2 * 8}, buffers_);
      p[n / 2][n % 2 * 2] = pack<Element>(of[0], of[1]);
      p[n / 2][n % 2 * 2 + 1] = pack<Element>(of[2], of[3]);
    }
  }
  template <bool kPartial>
  ASSAY_INLINE void differentiate_tile(const float (&s)[8][4], float (&dp)[8][4], int step) const {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      const TwoFloats delta = deltas(step)[n * 4 + lane_index() % 4];
#pragma unroll
      for (int e = 0; e < 4; ++e) dp[n][e] = gradient_of<Setup, kPartial>(s[n][e], dp[n][e], delta.of[e % 2]);
    }
  }

  /// Packed, behind the sequence's last query lie the next one's: their probabilities are 0, but 0 · NaN is
  /// not. Each warpgroup for itself, whose scores of these tiles are done; what the other one's scores make
  /// of those rows is not seen.
  ASSAY_INLINE void clear_foreign_rows(int step) const {
    const int left = q_rows_.count - barriers_->steps[step % kStages].q0, valid = left > 0 ? left : 0;
    if (valid >= kHalfBlock || p_.base.problem.q_starts == nullptr)
      return;
    const int thread = thread_index() % kWarpgroup;
    Tiles::clear_rows(q_tile(step), valid, thread, kWarpgroup);
    Tiles::clear_rows(d_o_tile(step), valid, thread, kWarpgroup);
    meet(kMine + my_warpgroup(), kWarpgroup);
  }

  ASSAY_INLINE void store(const Sums& d_k, const Sums& d_v) const {
    meet(kMine + my_warpgroup(), kWarpgroup);  // nobody multiplies with these keys any more
    const float scale = p_.base.problem.scale;
    const int first = k0_ + my_warpgroup() * kHalfBlock, valid = k_rows_.count - first;
    const auto rows = [&](const View& view) {
      return rows_at(view, place_.sequence, kv_head_, k_rows_.begin + first);
    };
    Tiles::store(d_k, {scale, scale}, k_tile(my_warpgroup()), my_warps_row(), rows(p_.base.d_k), valid);
    Tiles::store(d_v, {1.0f, 1.0f}, v_tile(my_warpgroup()), my_warps_row(), rows(p_.base.d_v), valid);
  }

  const BackwardHopperParams& p_;
  const Rows q_rows_, k_rows_;
  const Buffers buffers_;
  const int place_index_;
  const BlockPlace place_;
  const int kv_head_, first_head_, end_head_, k0_;
  char* tiles_;
  Barriers* barriers_;
};

}  // namespace assay::kernels::attention::device
