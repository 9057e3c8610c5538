// SPDX-License-Identifier: Apache-2.0
// From one product q·k and one product d_o·v to probability and gradient of the score, and sums of the
// gradients of learnable buffers.
#pragma once

#include "kernels/attention/device/mods.cuh"

namespace assay::kernels::attention::device {

/// Adds up what one thread finds for one element of a learnable buffer as long as it stays the same, then
/// adds that to memory. A thread's own order is fixed; with fixed point the order between threads does not
/// matter either.
class LearnableSum {
 public:
  ASSAY_INLINE void add(const LearnableGradient& to, float fixed_one, long long index, float value) {
    if (index != index_) {
      flush(to, fixed_one);
      index_ = index;
    }
    sum_ += value;
  }
  /// All lanes of the warp call it: where they hold the same element, one of them adds for all.
  ASSAY_INLINE void finish(const LearnableGradient& to, float fixed_one) {
    const long long first = shuffle_first(index_);
    if (ballot(index_ != first) == 0) {
      for (int distance = 16; distance > 0; distance /= 2) sum_ += shuffle_xor(sum_, distance);
      if (lane_index() != 0)
        index_ = -1;
    }
    flush(to, fixed_one);
  }

 private:
  ASSAY_INLINE void flush(const LearnableGradient& to, float fixed_one) {
    if (index_ >= 0) {
      const float scaled = sum_ * fixed_one;
      if (to.fixed != nullptr && scaled > -0x1p62f && scaled < 0x1p62f)
        add_to(to.fixed + index_, to_fixed(scaled));
      else if (to.fixed != nullptr)  // NaN, infinite, or too large: the result shall show it
        add_to(to.sum + index_, sum_ * infinity());
      else if (to.sum != nullptr)
        add_to(to.sum + index_, sum_);
    }
    sum_ = 0.0f;
    index_ = -1;
  }

  long long index_ = -1;
  float sum_ = 0.0f;
};

/// Learnable sums of a pass; those of a pass that sums none take no registers.
template <int kLearnable>
struct LearnableSums {
  LearnableSum of[kLearnable > 0 ? kLearnable : 1];

  ASSAY_INLINE void finish(const BackwardParams& p) {
    for (int n = 0; n < kLearnable; ++n) of[n].finish(p.learnable[n], p.fixed_one);
  }
};

/// What a query's pairs share: log2(e)·lse, +∞ where it sees nothing, and Σ o·d_o − d_lse.
struct Statistics {
  float shift, delta;
};

/// Whether the query sees the key. Mods are never asked about pairs past the sequence's end, which only
/// partial blocks have: those move to a place that is there.
template <class Setup, bool kPartial>
ASSAY_INLINE bool is_seen(Place& at, const Buffers& buffers) {
  if constexpr (!kPartial)
    return true;
  const bool inside = move_inside(at, buffers.q_length, buffers.k_length);
  return inside & visible<Setup>(at, buffers);  // no branch: a tile's loads are in flight at once
}

/// x: q·k to p·∂score/∂(scale·q·k), 0 where nothing is seen. Gives p.
template <class Setup, bool kPartial>
ASSAY_INLINE float weigh(float& x, float scale, float shift, Place at, const Buffers& buffers) {
  const bool seen = is_seen<Setup, kPartial>(at, buffers);
  if constexpr (!Setup::kHasScore) {
    const float p = exp2_approx(fused(x, scale * kLog2E, -shift));
    return x = seen ? p : 0.0f;
  } else {
    const Slopes<0> s = slopes<Setup, 0>(x * scale, at, buffers);
    const float p = seen ? exp2_approx(fused(s.value, kLog2E, -shift)) : 0.0f;
    x = p == 0.0f ? 0.0f : p * s.derivative;  // whatever a mod's slope is there (−∞ as a mask)
    return p;
  }
}
/// ∂loss/∂(scale·q·k) from what weigh made of x, and dp = d_o·v. Weight 0 takes no part, whatever v is.
template <class Setup, bool kPartial>
ASSAY_INLINE float gradient_of(float weight, float dp, float delta) {
  const float gradient = weight * (dp - delta);
  return (kPartial || Setup::kHasScore) && weight == 0.0f ? 0.0f : gradient;
}

/// Both at once, x to p and dp to the gradient; sums those of learnable buffers.
template <class Setup, bool kPartial, int kLearnable>
ASSAY_INLINE void differentiate(const BackwardParams& params, float& x, float& dp, const Statistics& of,
                                Place at, const Buffers& buffers, LearnableSums<kLearnable>& sums) {
  if constexpr (kLearnable == 0) {
    const float p = weigh<Setup, kPartial>(x, params.problem.scale, of.shift, at, buffers);
    dp = gradient_of<Setup, kPartial>(x, dp, of.delta);
    x = p;
  } else {
    const bool seen = is_seen<Setup, kPartial>(at, buffers);
    const Slopes<kLearnable> s = slopes<Setup, kLearnable>(x * params.problem.scale, at, buffers);
    const float p = seen ? exp2_approx(fused(s.value, kLog2E, -of.shift)) : 0.0f;
    const float ds = p * (dp - of.delta);
    x = p;
    dp = p == 0.0f ? 0.0f : ds * s.derivative;
    for (int n = 0; n < kLearnable; ++n) {
      if (p != 0.0f && buffers.read[n] >= 0)
        sums.of[n].add(params.learnable[n], params.fixed_one, buffers.read[n], ds * s.learnable[n]);
      buffers.read[n] = -1;
    }
  }
}

/// Of a thread's part of a tile, parts of eight columns: two rows eight apart, of each part two columns.
/// `place(n, e)` says where element e of part n stands, `of(n, e)` gives its query's Statistics.
template <class Setup, bool kPartial, int kLearnable, int kParts, class PlaceOf, class StatisticsOf>
ASSAY_INLINE void differentiate_all(const BackwardParams& params, float (&x)[kParts][4],
                                    float (&dp)[kParts][4], const PlaceOf& place, const StatisticsOf& of,
                                    const Buffers& buffers, LearnableSums<kLearnable>& sums) {
#pragma unroll
  for (int n = 0; n < kParts; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      differentiate<Setup, kPartial, kLearnable>(params, x[n][e], dp[n][e], of(n, e), place(n, e), buffers,
                                                 sums);
}

/// log2(e)·lse for exp2; a query that sees nothing gets probabilities 0.
ASSAY_INLINE float shift_of(float lse) {
  return lse == -infinity() ? infinity() : lse * kLog2E;
}

}  // namespace assay::kernels::attention::device
