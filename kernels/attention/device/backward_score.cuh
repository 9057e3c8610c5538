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

/// x: scale · q·k to p; dp: d_o·v to ∂loss/∂(scale · q·k). `shift` is log2(e)·lse, +∞ where the query sees
/// nothing.
template <class Setup, int kLearnable>
ASSAY_INLINE void differentiate(const BackwardParams& params, float& x, float& dp, float shift, float delta,
                                bool seen, const Place& at, const Buffers& buffers,
                                LearnableSums<kLearnable>& sums) {
  const Slopes<kLearnable> s = slopes<Setup, kLearnable>(x, at, buffers);
  const float p = seen ? exp2_approx(s.value * kLog2E - shift) : 0.0f;
  // p = 0 takes no part, whatever a mod's slope is there (−∞ as a mask).
  const float ds = p * (dp - delta);
  x = p;
  dp = p == 0.0f ? 0.0f : ds * s.derivative;
  if constexpr (kLearnable > 0) {
    for (int n = 0; n < kLearnable; ++n) {
      if (p != 0.0f && buffers.read[n] >= 0)
        sums.of[n].add(params.learnable[n], params.fixed_one, buffers.read[n], ds * s.learnable[n]);
      buffers.read[n] = -1;
    }
  }
}

/// log2(e)·lse for exp2; a query that sees nothing gets probabilities 0.
ASSAY_INLINE float shift_of(float lse) {
  return lse == -infinity() ? infinity() : lse * kLog2E;
}

}  // namespace assay::kernels::attention::device
