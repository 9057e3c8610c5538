// SPDX-License-Identifier: Apache-2.0
// Scores of 64 rows × 128 keys in a warpgroup's registers, to probabilities with a running maximum and sum. A
// thread has rows q and q + 8 (halves 0, 1), of each part of eight keys two.
#pragma once

#include "kernels/attention/device/mods.cuh"

namespace assay::kernels::attention::device {

/// Which rows a thread has, and what their scores know.
struct RowsAt {
  float scale;
  int sequence, head, q;
  int q_count, k_count;
};

template <class Setup>
class SoftRows {
 public:
  explicit ASSAY_INLINE SoftRows(const RowsAt& at) : at_(at) {}

  /// Products to 2^(score − maximum), the sums' new maximum and what the old ones shrink by. `buffers` is not
  /// kept: an object that points into another one lies in local memory.
  ASSAY_INLINE void soften(float (&s)[16][4], int entry, const Buffers& buffers) {
    const float scale = at_.scale;
    float unit =
        Setup::kHasScore ? kLog2E : scale * kLog2E;  // what a score is multiplied with, as part of exp2's sum
    if (!Setup::kHasScore && !(scale > 0.0f)) {      // then its largest is not the largest product
#pragma unroll
      for (int n = 0; n < 16; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) s[n][e] *= unit;
      unit = 1.0f;
    }
    if (entry % 2 != 0)
      modify<false>(s, entry / 2 * kBlock, buffers);
    else
      modify<true>(s, entry / 2 * kBlock, buffers);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = largest_[half];
#pragma unroll
      for (int n = 0; n < 16; ++n) most = larger(most, larger(s[n][2 * half], s[n][2 * half + 1]));
      most = larger(most, shuffle_xor(most, 1));
      most = larger(most, shuffle_xor(most, 2));
      const float shift = most == -infinity() ? 0.0f : most * unit;  // nothing seen yet: 2^(−∞ − 0) = 0
      keep_[half] = exp2_approx(fused(largest_[half], unit, -shift));
      largest_[half] = most;
      float sum = sum_[half] * keep_[half];
#pragma unroll
      for (int n = 0; n < 16; ++n)
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          s[n][e] = exp2_approx(fused(s[n][e], unit, -shift));
          sum += s[n][e];
        }
      sum_[half] = sum;
    }
    unit_ = unit;
  }

  template <int kParts>
  ASSAY_INLINE void rescale(float (&o)[kParts][4]) const {
#pragma unroll
    for (int n = 0; n < kParts; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) o[n][e] *= keep_[e / 2];
  }

  /// All four lanes of a row: what o is divided by, as a factor, and the row's lse. 0 and −∞ where nothing
  /// was seen.
  ASSAY_INLINE void finish(int half, float& factor, float& lse) const {
    float sum = sum_[half];
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
    factor = sum == 0.0f ? 0.0f : 1.0f / sum;
    lse = sum == 0.0f ? -infinity() : (largest_[half] * unit_ + log2_approx(sum)) * kLn2;
  }

 private:
  template <bool kPartial>
  ASSAY_INLINE void modify(float (&s)[16][4], int k0, const Buffers& buffers) const {
    if constexpr (!kPartial && !Setup::kHasScore)
      return;
    const int t = lane_index() % 4;
#pragma unroll
    for (int n = 0; n < 16; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        Place at{at_.sequence, at_.head, at_.q + e / 2 * 8, k0 + n * 8 + t * 2 + e % 2};
        bool seen = true;
        if constexpr (kPartial) {  // mods are never asked about rows that are not there
          seen = move_inside(at, at_.q_count, at_.k_count);
          seen = seen & visible<Setup>(at, buffers);  // no branch: a tile's loads are in flight at once
        }
        if constexpr (Setup::kHasScore)
          s[n][e] = modified<Setup>(s[n][e] * at_.scale, at, buffers);
        s[n][e] = seen ? s[n][e] : -infinity();
      }
  }

  const RowsAt at_;
  float largest_[2] = {-infinity(), -infinity()}, sum_[2] = {0.0f, 0.0f}, keep_[2] = {0.0f, 0.0f};
  float unit_ = 1.0f;
};

}  // namespace assay::kernels::attention::device
