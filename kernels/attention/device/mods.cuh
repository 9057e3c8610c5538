// SPDX-License-Identifier: Apache-2.0
// Buffers, and how the kernels call a user's mods: value alone, or value with its derivatives.
#pragma once

#include "kernels/attention/device/mod_language.cuh"

namespace assay::kernels::attention::device {

template <class T>
struct Loaded {
  using Stored = T;
  using Value = T;
  static ASSAY_INLINE T value(T x) { return x; }
};
template <>
struct Loaded<Half> {
  using Stored = unsigned short;
  using Value = float;
  static ASSAY_INLINE float value(unsigned short x) { return unpack<Half>(x); }
};
template <>
struct Loaded<Bfloat16> {
  using Stored = unsigned short;
  using Value = float;
  static ASSAY_INLINE float value(unsigned short x) { return unpack<Bfloat16>(x); }
};

/// The user's buffers (BufferTable), and the lengths of the sequence at hand.
class Buffers {
 public:
  ASSAY_INLINE Buffers(const BufferTable& table, int q_length_, int k_length_)
      : q_length(q_length_), k_length(k_length_), table_(table) {}

  /// Element `index` of data[slot] seen as an array of T: float, int, unsigned char, …; Half and Bfloat16
  /// give a float.
  template <class T>
  ASSAY_INLINE typename Loaded<T>::Value get(int slot, long long index) const {
    return Loaded<T>::value(static_cast<const typename Loaded<T>::Stored*>(table_.data[slot])[index]);
  }
  ASSAY_INLINE float scalar(int i) const { return table_.scalars[i]; }
  ASSAY_INLINE int integer(int i) const { return table_.integers[i]; }
  /// Element `index` of the f32 array data[slot], whose gradient the backward pass sums. At most one element
  /// a slot and score.
  template <class S>
  ASSAY_INLINE S learnable(int slot, long long index) const {
    return tracked(static_cast<const float*>(table_.data[slot])[index], slot, index,
                   static_cast<S*>(nullptr));
  }

  int q_length, k_length;
  mutable long long read[kMaxLearnable] = {-1, -1};  ///< which element each slot gave

 private:
  ASSAY_INLINE float tracked(float x, int, long long, float*) const { return x; }
  template <int N>
  ASSAY_INLINE Dual<N> tracked(float x, int slot, long long index, Dual<N>*) const {
    Dual<N> r(x);
    for (int n = 0; n < N - 1; ++n) {
      if (n == slot) {
        r.d[1 + n] = 1.0f;
        read[n] = index;
      }
    }
    return r;
  }

  const BufferTable& table_;
};

/// Where a score stands.
struct Place {
  int b, h, q, k;
};

/// Whether the pair is there; else at.q or at.k moves to one that is. Each by itself: what a mod reads for a
/// row or a column of a tile stays one load for all its pairs.
ASSAY_INLINE bool move_inside(Place& at, int q_count, int k_count) {
  const bool q_there = at.q < q_count, k_there = at.k < k_count;
  at.q = q_there ? at.q : 0;
  at.k = k_there ? at.k : 0;
  return q_there & k_there;
}

/// s = score_mod(x) with ∂s/∂x, and ∂s of each learnable element read.
template <int kLearnable>
struct Slopes {
  float value, derivative;
  float learnable[kLearnable > 0 ? kLearnable : 1];
};

template <class Setup>
ASSAY_INLINE float modified(float x, const Place& at, const Buffers& buffers) {
  if constexpr (Setup::kHasScore)
    return typename Setup::Mods{}.score_mod(x, at.b, at.h, at.q, at.k, buffers);
  else
    return x;
}

template <class Setup, int kLearnable>
ASSAY_INLINE Slopes<kLearnable> slopes(float x, const Place& at, const Buffers& buffers) {
  Slopes<kLearnable> r{x, 1.0f, {}};
  if constexpr (Setup::kHasDerivative) {
    typename Setup::Mods mods;
    r.value = mods.score_mod(x, at.b, at.h, at.q, at.k, buffers);
    r.derivative = mods.score_mod_derivative(x, r.value, at.b, at.h, at.q, at.k, buffers);
  } else if constexpr (Setup::kHasScore) {
    Dual<1 + kLearnable> dual(x);
    dual.d[0] = 1.0f;
    dual = typename Setup::Mods{}.score_mod(dual, at.b, at.h, at.q, at.k, buffers);
    r.value = dual.value;
    r.derivative = dual.d[0];
    for (int n = 0; n < kLearnable; ++n) r.learnable[n] = dual.d[1 + n];
  }
  return r;
}

template <class Setup>
ASSAY_INLINE bool visible(const Place& at, const Buffers& buffers) {
  if constexpr (Setup::kHasMask)
    return typename Setup::Mods{}.mask_mod(at.b, at.h, at.q, at.k, buffers);
  else
    return true;
}

}  // namespace assay::kernels::attention::device
