// SPDX-License-Identifier: Apache-2.0
// Forward with mma.sync (sm_75 and later). A block of threads makes kTileQ rows of o for one head; each warp
// 16·F of them, over key tiles of kTileK, with running maximum and sum in powers of two.
#pragma once

#include "kernels/attention/device/mods.cuh"
#include "kernels/attention/device/tiles.cuh"

namespace assay::kernels::attention::device {

template <class Setup>
class Forward {
  using Element = typename Setup::Element;
  static constexpr int kHeadSize = Setup::kHeadSize, kTileQ = Setup::kTileQ, kTileK = Setup::kTileK;
  static constexpr int kWarps = Setup::kWarps, kThreads = 32 * kWarps, kFragments = kTileQ / (16 * kWarps);
  static constexpr int kStepsPerBlock = kBlock / kTileK;
  static_assert(kFragments * 16 * kWarps == kTileQ && kBlock % kTileQ == 0 && kBlock % kTileK == 0);

 public:
  static constexpr int kSharedBytes = (kTileQ + 2 * kTileK) * kRowBytes<kHeadSize>;

  static ASSAY_INLINE void run(const ForwardParams& p) {
    const Problem& problem = p.problem;
    // Heads of one place run side by side and share keys in L2; long rows (causal: the last) start first.
    constexpr int kParts = kBlock / kTileQ;
    const int head = block_index() % problem.q_heads;
    const int tile = problem.tables.q_capacity * kParts - 1 - block_index() / problem.q_heads;
    const int place_index = tile / kParts;
    const BlockPlace place = problem.tables.q_places[place_index];
    if (place.sequence < 0)
      return;
    const Rows q_rows = q_rows_of(problem, place.sequence);
    const int q0 = place.block * kBlock + tile % kParts * kTileQ;
    if (q0 >= q_rows.count)
      return;
    Forward(p, place, q_rows, head, q0)
        .make_rows(k_blocks_of(problem.tables, place_index, place.block, head));
  }

 private:
  ASSAY_INLINE Forward(const ForwardParams& p, const BlockPlace& place, const Rows& q_rows, int head, int q0)
      : p_(p),
        k_rows_(k_rows_of(p.problem, place.sequence)),
        buffers_(p.problem.buffers, q_rows.count, k_rows_.count),
        q_rows_(q_rows),
        sequence_(place.sequence),
        head_(head),
        q0_(q0) {
    const int kv_head = head / (p.problem.q_heads / p.problem.kv_heads);
    k_ = rows_at(p.k, sequence_, kv_head, k_rows_.begin);
    v_ = rows_at(p.v, sequence_, kv_head, k_rows_.begin);
    q_tile_ = shared_memory();
    k_tile_ = q_tile_ + kTileQ * kRowBytes<kHeadSize>;
    v_tile_ = k_tile_ + kTileK * kRowBytes<kHeadSize>;
    my_rows_ = thread_index() / 32 * 16 * kFragments;
    set_zero<kFragments, kHeadSize>(o_);
    for (int f = 0; f < kFragments; ++f)
      for (int half = 0; half < 2; ++half) largest_[f][half] = -infinity(), sum_[f][half] = 0.0f;
  }

  ASSAY_INLINE void make_rows(const BlockList& list) {
    const int steps = list.count * kStepsPerBlock;
    copy_tile<kHeadSize, kTileQ, kThreads>(q_tile_, rows_at(p_.q, sequence_, head_, q_rows_.begin + q0_),
                                           q_rows_.count - q0_);
    if (steps > 0)
      copy_keys(k_tile_, k_, list.entries[0] / 2 * kBlock);
    commit_copies();
    for (int step = 0; step < steps; ++step) {
      const int entry = list.entries[step / kStepsPerBlock];
      const int k0 = entry / 2 * kBlock + step % kStepsPerBlock * kTileK;
      wait_for_copies<0>();
      wait_for_block();  // the keys are here, everyone is done with the values
      copy_keys(v_tile_, v_, k0);
      commit_copies();
      Accumulator<kFragments, kTileK> s;
      set_zero<kFragments, kTileK>(s);
      multiply_rows<Element, kFragments, kTileK, kHeadSize>(s, q_tile_ + my_rows_ * kRowBytes<kHeadSize>,
                                                            k_tile_);
      wait_for_copies<0>();
      wait_for_block();  // the values are here, everyone is done with the keys
      if (step + 1 < steps) {
        const int next = list.entries[(step + 1) / kStepsPerBlock] / 2 * kBlock;
        copy_keys(k_tile_, k_, next + (step + 1) % kStepsPerBlock * kTileK);
        commit_copies();
      }
      if (entry % 2 != 0)
        score<false>(s, k0);
      else
        score<true>(s, k0);
      add_to_softmax(s);
      multiply_columns<Element, kFragments, kTileK, kHeadSize>(o_, s, v_tile_);
    }
    wait_for_copies<0>();
    wait_for_block();  // where no key came, queries are still on their way into the tile that results go
                       // through
    finish();
  }

  ASSAY_INLINE void copy_keys(char* tile, const RowPointer& from, int k0) {
    copy_tile<kHeadSize, kTileK, kThreads>(tile, from.advanced(k0), k_rows_.count - k0);
  }

  /// Products to scores in powers of two: log2(e) · score_mod(scale · product), −∞ where nothing is to be
  /// seen.
  template <bool kPartial>
  ASSAY_INLINE void score(Accumulator<kFragments, kTileK>& s, int k0) {
    const int g = lane_index() / 4, t = lane_index() % 4;
    const float scale = p_.problem.scale * (Setup::kHasScore ? 1.0f : kLog2E);
#pragma unroll
    for (int f = 0; f < kFragments; ++f)
#pragma unroll
      for (int n = 0; n < kTileK / 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          Place at{sequence_, head_, q0_ + my_rows_ + f * 16 + e / 2 * 8 + g, k0 + n * 8 + t * 2 + e % 2};
          bool seen = true;
          if constexpr (kPartial) {  // mods are never asked about rows that are not there
            seen = move_inside(at, q_rows_.count, k_rows_.count);
            seen = seen & visible<Setup>(at, buffers_);
          }
          float x = s[f][n][e] * scale;
          if constexpr (Setup::kHasScore)
            x = modified<Setup>(x, at, buffers_) * kLog2E;
          s[f][n][e] = seen ? x : -infinity();
        }
  }

  /// Scores to 2^(score − maximum); sums and o take on the new maximum.
  ASSAY_INLINE void add_to_softmax(Accumulator<kFragments, kTileK>& s) {
#pragma unroll
    for (int f = 0; f < kFragments; ++f)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float most = largest_[f][half];
#pragma unroll
        for (int n = 0; n < kTileK / 8; ++n)
          most = larger(most, larger(s[f][n][2 * half], s[f][n][2 * half + 1]));
        most = larger(most, shuffle_xor(most, 1));
        most = larger(most, shuffle_xor(most, 2));
        const float shift = most == -infinity() ? 0.0f : most;  // nothing seen yet: 2^(−∞ − 0) = 0
        const float keep = exp2_approx(largest_[f][half] - shift);
        float sum = sum_[f][half] * keep;
        largest_[f][half] = most;
#pragma unroll
        for (int n = 0; n < kTileK / 8; ++n)
#pragma unroll
          for (int e = 2 * half; e < 2 * half + 2; ++e) sum += s[f][n][e] = exp2_approx(s[f][n][e] - shift);
        sum_[f][half] = sum;
#pragma unroll
        for (int n = 0; n < kHeadSize / 8; ++n) o_[f][n][2 * half] *= keep, o_[f][n][2 * half + 1] *= keep;
      }
  }

  ASSAY_INLINE void finish() {
    const int g = lane_index() / 4, t = lane_index() % 4, valid = q_rows_.count - q0_ - my_rows_;
    float factor[kFragments][2];
#pragma unroll
    for (int f = 0; f < kFragments; ++f)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float sum = sum_[f][half];
        sum += shuffle_xor(sum, 1);
        sum += shuffle_xor(sum, 2);
        factor[f][half] = sum == 0.0f ? 0.0f : 1.0f / sum;
        const int row = f * 16 + half * 8 + g;
        if (t == 0 && row < valid)
          *rows_at(p_.lse, sequence_, head_, q_rows_.begin + q0_ + my_rows_ + row) =
              sum == 0.0f ? -infinity() : (largest_[f][half] + log2_approx(sum)) * kLn2;
      }
    store_rows<Element, kFragments, kHeadSize>(
        o_, factor, q_tile_ + my_rows_ * kRowBytes<kHeadSize>,
        rows_at(p_.o, sequence_, head_, q_rows_.begin + q0_ + my_rows_), valid);
  }

  const ForwardParams& p_;
  const Rows k_rows_;
  const Buffers buffers_;
  const Rows q_rows_;
  const int sequence_, head_, q0_;
  int my_rows_;  ///< the warp's first row of the tile
  RowPointer k_, v_;
  char *q_tile_, *k_tile_, *v_tile_;
  Accumulator<kFragments, kHeadSize> o_;
  float largest_[kFragments][2], sum_[kFragments][2];
};

}  // namespace assay::kernels::attention::device
