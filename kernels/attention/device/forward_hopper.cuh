// SPDX-License-Identifier: Apache-2.0
// Forward on sm_90a: one warpgroup feeds tiles through the copy engine, two multiply (wgmma), 64 rows of o
// each. Tiles of 128 keys are whole blocks of the mask. While a warpgroup turns one tile's scores into
// probabilities, the tensor cores multiply the other one's tiles (they take turns), and its own o += p·v of
// the tile before runs beside q·kᵀ of the next.
#pragma once

#include "kernels/attention/device/hopper_tiles.cuh"
#include "kernels/attention/device/mods.cuh"
#include "kernels/attention/device/soft_rows.cuh"

namespace assay::kernels::attention::device {

template <class Setup>
class ForwardHopper {
  using Element = typename Setup::Element;
  static constexpr int kHeadSize = Setup::kHeadSize, kStages = Setup::kStages;
  using Tiles = HopperTiles<Element, kHeadSize, kBlock>;
  static constexpr int kTileBytes = Tiles::kBytes;

  struct Barriers {
    Barrier q_full;
    Barrier k_full[kStages], k_empty[kStages], v_full[kStages], v_empty[kStages];
  };
  enum { kTurn = 1, kTail = 3, kMine = 4 };  // named barriers: kTurn + w, kMine + w of warpgroup w
  using Turn = Turns<Setup::kTurns, kTurn>;

 public:
  static constexpr int kSharedBytes = (1 + 2 * kStages) * kTileBytes + 256;
  static_assert(sizeof(Barriers) <= 256);

  static ASSAY_INLINE void run(const ForwardHopperParams& p) {
    if (thread_index() == 0)
      prefetch_map(p.q), prefetch_map(p.k), prefetch_map(p.v);
    const Problem& problem = p.base.problem;
    const int head = block_index() % problem.q_heads;
    const int place_index = problem.tables.q_capacity - 1 - block_index() / problem.q_heads;
    const BlockPlace place = problem.tables.q_places[place_index];
    if (place.sequence < 0)
      return;
    ForwardHopper(p, place, head, k_blocks_of(problem.tables, place_index, place.block, head)).make_rows();
  }

 private:
  ASSAY_INLINE ForwardHopper(const ForwardHopperParams& p, const BlockPlace& place, int head,
                             const BlockList& list)
      : p_(p),
        q_rows_(q_rows_of(p.base.problem, place.sequence)),
        k_rows_(k_rows_of(p.base.problem, place.sequence)),
        buffers_(p.base.problem.buffers, q_rows_.count, k_rows_.count),
        list_(list),
        sequence_(place.sequence),
        head_(head),
        q0_(place.block * kBlock),
        soft_({p.base.problem.scale, place.sequence, head, q0_ + my_row(), q_rows_.count, k_rows_.count}) {
    q_tile_ = shared_memory();
    barriers_ = reinterpret_cast<Barriers*>(q_tile_ + (1 + 2 * kStages) * kTileBytes);
  }

  ASSAY_INLINE char* k_tile(int step) const { return q_tile_ + (1 + step % kStages) * kTileBytes; }
  ASSAY_INLINE char* v_tile(int step) const { return q_tile_ + (1 + kStages + step % kStages) * kTileBytes; }
  static ASSAY_INLINE int parity(int step) { return step / kStages % 2; }

  ASSAY_INLINE void make_rows() {
    if (thread_index() == 0) {
      begin_barrier(&barriers_->q_full, 1);
      for (int i = 0; i < kStages; ++i) {
        begin_barrier(&barriers_->k_full[i], 1);
        begin_barrier(&barriers_->v_full[i], 1);
        begin_barrier(&barriers_->k_empty[i], kWorkers / 32);
        begin_barrier(&barriers_->v_empty[i], kWorkers / 32);
      }
      publish_barriers();
      copy_tile(q_tile_, p_.q, &barriers_->q_full, head_, q_rows_.begin + q0_);  // before the list is known
    }
    wait_for_block();
    if (thread_index() < kWarpgroup) {
      give_registers<24>();
      if (thread_index() == 0)
        feed();
    } else {
      take_registers<240>();
      work();
    }
  }

  // The feeding thread.

  ASSAY_INLINE void copy_tile(char* to, const TensorMap& map, Barrier* full, int head, int row) {
    arrive_expecting(full, kTileBytes);
    Tiles::copy(to, map, full, head, row, p_.base.problem.q_starts == nullptr ? sequence_ : 0);
  }

  ASSAY_INLINE void feed() {
    const int kv_head = head_ / (p_.base.problem.q_heads / p_.base.problem.kv_heads);
    if (list_.count == 0)
      wait_for(&barriers_->q_full, 0);  // no copy may outlive its block of threads
    for (int step = 0; step < list_.count; ++step) {
      const int row = k_rows_.begin + list_.entries[step] / 2 * kBlock, stage = step % kStages;
      wait_for(&barriers_->k_empty[stage], parity(step) ^ 1);
      copy_tile(k_tile(step), p_.k, &barriers_->k_full[stage], kv_head, row);
      wait_for(&barriers_->v_empty[stage], parity(step) ^ 1);
      copy_tile(v_tile(step), p_.v, &barriers_->v_full[stage], kv_head, row);
    }
  }

  // The working warpgroups.

  static ASSAY_INLINE int my_first_row() { return my_warpgroup() * 64 + my_warps_row(); }
  static ASSAY_INLINE int my_row() { return my_first_row() + lane_index() / 4; }

  ASSAY_INLINE void work() {
    float s[16][4] = {}, o[kHeadSize / 8][4];
    unsigned p[8][4];
#pragma unroll
    for (int n = 0; n < kHeadSize / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) o[n][e] = 0.0f;
    const int steps = list_.count;
    wait_for(&barriers_->q_full, 0);  // o goes out through this tile, with no steps too
    if (steps > 0) {
      const int entry = list_.entries[0];
      Turn::begin();
      wait_for(&barriers_->k_full[0], 0);
      Turn::wait();
      begin_scores(s, 0);
      Turn::hand_over(steps == 1);
      wait_for_products<0>();
      pin(s);
      release(&barriers_->k_empty[0]);
      soft_.soften(s, entry, buffers_);
      Tiles::round(s, p);
    }
    for (int step = 1; step < steps; ++step) {
      const int entry = list_.entries[step], stage = step % kStages, before = (step - 1) % kStages;
      wait_for(&barriers_->k_full[stage], parity(step));
      wait_for(&barriers_->v_full[before], parity(step - 1));
      Turn::wait();
      begin_scores(s, step);
      begin_values(o, p, step - 1);
      Turn::hand_over(step == steps - 1);
      wait_for_products<1>();
      pin(s);
      release(&barriers_->k_empty[stage]);
      soft_.soften(s, entry, buffers_);
      wait_for_products<0>();
      pin(o);
      release(&barriers_->v_empty[before]);
      soft_.rescale(o);
      Tiles::round(s, p);
    }
    if (steps > 0) {
      wait_for(&barriers_->v_full[(steps - 1) % kStages], parity(steps - 1));
      clear_foreign_values(steps - 1);
      begin_values(o, p, steps - 1);
      wait_for_products<0>();
      pin(o);
    }
    finish(o);
  }

  ASSAY_INLINE void begin_scores(float (&s)[16][4], int step) const {
    pin(s);
    fence_products();
    Tiles::begin_rows(s, q_tile_ + uniform(my_warpgroup()) * 64 * 128, k_tile(step));
    commit_products();
  }

  ASSAY_INLINE void begin_values(float (&o)[kHeadSize / 8][4], unsigned (&p)[8][4], int step) const {
    pin(o);
    pin(p);
    fence_products();
    Tiles::begin_columns(o, p, v_tile(step));
    commit_products();
  }

  /// Packed, behind the sequence's last key lie the next one's: their probabilities are 0, but 0 · NaN is
  /// not. Only the last tile of a list, as lists rise.
  ASSAY_INLINE void clear_foreign_values(int step) const {
    const int valid = k_rows_.count - list_.entries[step] / 2 * kBlock;
    if (valid >= kBlock || p_.base.problem.k_starts == nullptr)
      return;
    Tiles::clear_rows(v_tile(step), valid, thread_index() - kWarpgroup, kWorkers);
    meet(kTail, kWorkers);
  }

  /// o and lse to memory: through this warp's rows of the query tile.
  ASSAY_INLINE void finish(float (&o)[kHeadSize / 8][4]) {
    meet(kMine + my_warpgroup(), kWarpgroup);  // nobody multiplies with these queries any more
    float factor[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float lse;
      soft_.finish(half, factor[half], lse);
      const int row = q0_ + my_row() + half * 8;
      if (lane_index() % 4 == 0 && row < q_rows_.count)
        *rows_at(p_.base.lse, sequence_, head_, q_rows_.begin + row) = lse;
    }
    Tiles::store(o, factor, q_tile_, my_first_row(),
                 rows_at(p_.base.o, sequence_, head_, q_rows_.begin + q0_), q_rows_.count - q0_);
  }

  const ForwardHopperParams& p_;
  const Rows q_rows_, k_rows_;
  const Buffers buffers_;
  const BlockList list_;
  const int sequence_, head_, q0_;
  char* q_tile_;
  Barriers* barriers_;
  SoftRows<Setup> soft_;
};

}  // namespace assay::kernels::attention::device
