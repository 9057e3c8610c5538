// SPDX-License-Identifier: Apache-2.0
// The steps that a row of logits goes through on the CPU: transform into an f32 scratch row, exponentials,
// sums, and the gradient stored back. Scratch rows are padded to whole vectors. Sums run in f32 over short
// blocks and in f64 over blocks, so their error does not grow with the vocabulary.

// clang-format off: Highway's include guard, toggled once per target
#if defined(ASSAY_KERNELS_BACKPROP_ROW_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSAY_KERNELS_BACKPROP_ROW_INL
#undef ASSAY_KERNELS_BACKPROP_ROW_INL
#else
#define ASSAY_KERNELS_BACKPROP_ROW_INL
#endif
// clang-format on

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/backprop/softmax_pass_cpu_types-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace assay::kernels::backprop::HWY_NAMESPACE {

inline std::size_t padded(std::size_t count) {
  const std::size_t lanes = hn::Lanes(Floats());
  return (count + lanes - 1) / lanes * lanes;
}

/// Highway's Exp makes 0 of NaN; here NaN stays, so that a broken logit shows in its row.
HWY_INLINE Vec exponential(Vec x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(Floats(), x));
}

/// tanh and its derivative. e = exp(−2|u|) makes both accurate where tanh is near ±1, the polynomial (Cephes
/// tanhf, |u| < 0.625) makes tanh accurate near 0.
struct Tanh {
  Vec value, derivative;
};
HWY_INLINE Tanh tanh_of(Vec u) {
  const Floats df;
  const auto one = hn::Set(df, 1.0f);
  const auto magnitude = hn::Abs(u);
  const auto e = exponential(hn::Mul(hn::Set(df, -2.0f), magnitude));
  const auto inverse = hn::Div(one, hn::Add(one, e));
  const auto square = hn::Mul(u, u);
  auto p = hn::Set(df, -5.70498872745e-3f);
  p = hn::MulAdd(p, square, hn::Set(df, 2.06390887954e-2f));
  p = hn::MulAdd(p, square, hn::Set(df, -5.37397155531e-2f));
  p = hn::MulAdd(p, square, hn::Set(df, 1.33314422036e-1f));
  p = hn::MulAdd(p, square, hn::Set(df, -3.33332819422e-1f));
  const auto near = hn::MulAdd(hn::Mul(p, square), u, u);
  const auto far = hn::CopySign(hn::Mul(hn::Sub(one, e), inverse), u);
  const auto is_near = hn::Lt(magnitude, hn::Set(df, 0.625f));
  return {hn::IfThenElse(is_near, near, far),
          hn::Mul(hn::Mul(hn::Set(df, 4.0f), e), hn::Mul(inverse, inverse))};
}

/// What logits go through before the softmax, and its derivative.
class Transform {
 public:
  explicit Transform(const LogitTransform& t)
      : capped_(t.softcap > 0.0),
        inverse_softcap_(capped_ ? static_cast<float>(1.0 / t.softcap) : 0.0f),
        scale_(static_cast<float>((capped_ ? t.softcap : 1.0) / t.temperature)),
        slope_(static_cast<float>(1.0 / t.temperature)) {}

  HWY_INLINE Vec value(Vec x) const {
    const Floats df;
    if (capped_)
      x = tanh_of(hn::Mul(x, hn::Set(df, inverse_softcap_))).value;
    return hn::Mul(x, hn::Set(df, scale_));
  }
  HWY_INLINE Vec times_derivative(Vec gradient, Vec x) const {
    const Floats df;
    gradient = hn::Mul(gradient, hn::Set(df, slope_));
    if (capped_)
      gradient = hn::Mul(gradient, tanh_of(hn::Mul(x, hn::Set(df, inverse_softcap_))).derivative);
    return gradient;
  }

 private:
  bool capped_;
  float inverse_softcap_, scale_, slope_;
};

template <LogitType kType>
class Row {
 public:
  Row(const LogitRows& logits, std::int64_t row)
      : data_(static_cast<Element<kType>*>(logits.data) + row * logits.stride),
        bias_(static_cast<const Element<kType>*>(logits.bias)),
        vocab_(static_cast<std::size_t>(logits.vocab)),
        transform_(logits.transform) {}

  /// Transformed logits to `z`, padded with −∞. Returns the largest, or 0 where that is −∞: a shift that
  /// never makes −∞ − (−∞).
  float transform_to(float* HWY_RESTRICT z) const {
    const Floats df;
    const std::size_t lanes = hn::Lanes(df), rest = vocab_ % lanes, whole = vocab_ - rest;
    const auto lowest = hn::Set(df, -std::numeric_limits<float>::infinity());
    auto largest = lowest;
    for (std::size_t i = 0; i < whole; i += lanes) {
      const auto value = transform_.value(logit(i));
      largest = hn::Max(largest, value);
      hn::StoreU(value, df, z + i);
    }
    if (rest != 0) {
      const auto value =
          hn::IfThenElse(hn::FirstN(df, rest), transform_.value(last_logits(whole, rest)), lowest);
      largest = hn::Max(largest, value);
      hn::StoreU(value, df, z + whole);
    }
    const float shift = hn::GetLane(hn::MaxOfLanes(df, largest));
    return shift == -std::numeric_limits<float>::infinity() ? 0.0f : shift;
  }

  /// factor · gradient[v] · dz/dx, rounded, over the logits that transform_to() read.
  void store_gradient(const float* HWY_RESTRICT gradient, float factor) const {
    const Floats df;
    const std::size_t lanes = hn::Lanes(df), rest = vocab_ % lanes, whole = vocab_ - rest;
    const auto scale = hn::Set(df, factor);
    for (std::size_t i = 0; i < whole; i += lanes) {
      const auto g = hn::Mul(hn::LoadU(df, gradient + i), scale);
      store<kType>(transform_.times_derivative(g, logit(i)), data_ + i);
    }
    if (rest != 0) {
      const auto g = hn::Mul(hn::LoadU(df, gradient + whole), scale);
      store_first<kType>(transform_.times_derivative(g, last_logits(whole, rest)), data_ + whole, rest);
    }
  }

  void fill_with_zeros() const { std::memset(data_, 0, vocab_ * sizeof(Element<kType>)); }

 private:
  HWY_INLINE Vec logit(std::size_t i) const {
    const auto x = load<kType>(data_ + i);
    return bias_ == nullptr ? x : hn::Add(x, load<kType>(bias_ + i));
  }
  HWY_INLINE Vec last_logits(std::size_t i, std::size_t count) const {
    const auto x = load_first<kType>(data_ + i, count);
    return bias_ == nullptr ? x : hn::Add(x, load_first<kType>(bias_ + i, count));
  }

  Element<kType>* data_;
  const Element<kType>* bias_;
  std::size_t vocab_;
  Transform transform_;
};

/// Σ over whole vectors of what `vector_at(i)` gives; `count` a multiple of the lanes.
template <class VectorAt>
HWY_INLINE double sum_vectors(std::size_t count, VectorAt vector_at) {
  const Floats df;
  const std::size_t lanes = hn::Lanes(df), block = 16 * lanes;
  double total = 0.0;
  for (std::size_t begin = 0; begin < count; begin += block) {
    const std::size_t end = std::min(begin + block, count);
    auto sum = hn::Zero(df);
    for (std::size_t i = begin; i < end; i += lanes) sum = hn::Add(sum, vector_at(i));
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(df, sum)));
  }
  return total;
}

/// Below this a difference of logits has probability 0 in f32: −∞ is replaced by it, so that 0 · log 0 is 0.
inline constexpr float kLowestLog = -200.0f;

struct Exponentials {
  double sum = 0.0;           ///< Σ exp(z − shift)
  double weighted_log = 0.0;  ///< Σ exp(z − shift)·(z − shift)
};

/// z ← exp(z − shift); `count` padded, padding −∞.
inline Exponentials exponentiate(float* HWY_RESTRICT z, std::size_t count, float shift, bool with_log) {
  const Floats df;
  const auto offset = hn::Set(df, shift);
  Exponentials result;
  if (with_log) {
    result.weighted_log = sum_vectors(count, [&](std::size_t i) HWY_ATTR {
      const auto difference = hn::Sub(hn::LoadU(df, z + i), offset);
      return hn::Mul(exponential(difference), hn::Max(difference, hn::Set(df, kLowestLog)));
    });
  }
  result.sum = sum_vectors(count, [&](std::size_t i) HWY_ATTR {
    const auto e = exponential(hn::Sub(hn::LoadU(df, z + i), offset));
    hn::StoreU(e, df, z + i);
    return e;
  });
  return result;
}

/// Σ w_v·z_v and Σ w_v over `count` elements, w = 1 where null.
inline double weighted_sum(const float* z, const float* weight, std::size_t count) {
  const Floats df;
  const std::size_t whole = count - count % hn::Lanes(df);
  double total = sum_vectors(whole, [&](std::size_t i) HWY_ATTR {
    const auto value = hn::LoadU(df, z + i);
    return weight == nullptr ? value : hn::Mul(value, hn::LoadU(df, weight + i));
  });
  for (std::size_t i = whole; i < count; ++i)
    total += static_cast<double>(z[i]) * (weight == nullptr ? 1.0 : static_cast<double>(weight[i]));
  return total;
}
inline double sum_of_weights(const float* weight, std::size_t count) {
  if (weight == nullptr)
    return static_cast<double>(count);
  const Floats df;
  const std::size_t whole = count - count % hn::Lanes(df);
  double total = sum_vectors(whole, [&](std::size_t i) HWY_ATTR { return hn::LoadU(df, weight + i); });
  for (std::size_t i = whole; i < count; ++i) total += static_cast<double>(weight[i]);
  return total;
}

/// gradient_v ← scale · gradient_v − weight_v · offset over the first `count` (weight 1 where null).
inline void scale_and_subtract(float* HWY_RESTRICT gradient, std::size_t count, float scale,
                               const float* weight, float offset) {
  const Floats df;
  const std::size_t whole = count - count % hn::Lanes(df);
  const auto factor = hn::Set(df, scale), constant = hn::Set(df, offset);
  for (std::size_t i = 0; i < whole; i += hn::Lanes(df)) {
    const auto scaled = hn::Mul(hn::LoadU(df, gradient + i), factor);
    const auto taken = weight == nullptr ? constant : hn::Mul(constant, hn::LoadU(df, weight + i));
    hn::StoreU(hn::Sub(scaled, taken), df, gradient + i);
  }
  for (std::size_t i = whole; i < count; ++i)
    gradient[i] = gradient[i] * scale - offset * (weight == nullptr ? 1.0f : weight[i]);
}

}  // namespace assay::kernels::backprop::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // ASSAY_KERNELS_BACKPROP_ROW_INL
