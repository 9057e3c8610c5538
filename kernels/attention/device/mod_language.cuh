// SPDX-License-Identifier: Apache-2.0
// What a user's score_mod and mask_mod may use: Buffers, the scalar type S (f32, or a dual number that
// carries derivatives), and functions of S. docs/flex_attention.md shows it by example.
#pragma once

#include "kernels/attention/device/machine.cuh"
#include "kernels/attention/device/params.hpp"

namespace assay::kernels::attention::device {

/// value + Σ d[n]·ε_n, ε_i·ε_j = 0. Direction 0 is the score, direction 1 + slot a learnable buffer.
template <int kDirections>
struct Dual {
  float value = 0.0f;
  float d[kDirections] = {};

  Dual() = default;
  ASSAY_INLINE Dual(float constant) : value(constant) {}  // NOLINT: a number is a dual number
};

/// y = f(x), dy = slope · dx.
template <int N>
ASSAY_INLINE Dual<N> chained(const Dual<N>& x, float y, float slope) {
  Dual<N> r(y);
  for (int n = 0; n < N; ++n) r.d[n] = slope * x.d[n];
  return r;
}
template <int N>
ASSAY_INLINE Dual<N> operator-(const Dual<N>& a) {
  return chained(a, -a.value, -1.0f);
}
template <int N>
ASSAY_INLINE Dual<N> operator+(const Dual<N>& a, const Dual<N>& b) {
  Dual<N> r(a.value + b.value);
  for (int n = 0; n < N; ++n) r.d[n] = a.d[n] + b.d[n];
  return r;
}
template <int N>
ASSAY_INLINE Dual<N> operator-(const Dual<N>& a, const Dual<N>& b) {
  Dual<N> r(a.value - b.value);
  for (int n = 0; n < N; ++n) r.d[n] = a.d[n] - b.d[n];
  return r;
}
template <int N>
ASSAY_INLINE Dual<N> operator*(const Dual<N>& a, const Dual<N>& b) {
  Dual<N> r(a.value * b.value);
  for (int n = 0; n < N; ++n) r.d[n] = a.d[n] * b.value + a.value * b.d[n];
  return r;
}
template <int N>
ASSAY_INLINE Dual<N> operator/(const Dual<N>& a, const Dual<N>& b) {
  const float inverse = 1.0f / b.value;
  Dual<N> r(a.value * inverse);
  for (int n = 0; n < N; ++n) r.d[n] = (a.d[n] - r.value * b.d[n]) * inverse;
  return r;
}

// With a number, whose derivatives are 0: a product with it or a sum with it is no instruction less to a
// compiler that knows of NaN and −0.
template <int N>
ASSAY_INLINE Dual<N> with_value(const Dual<N>& a, float value) {
  Dual<N> r = a;
  r.value = value;
  return r;
}
template <int N>
ASSAY_INLINE Dual<N> operator+(const Dual<N>& a, float b) {
  return with_value(a, a.value + b);
}
template <int N>
ASSAY_INLINE Dual<N> operator+(float a, const Dual<N>& b) {
  return with_value(b, a + b.value);
}
template <int N>
ASSAY_INLINE Dual<N> operator-(const Dual<N>& a, float b) {
  return with_value(a, a.value - b);
}
template <int N>
ASSAY_INLINE Dual<N> operator-(float a, const Dual<N>& b) {
  return chained(b, a - b.value, -1.0f);
}
template <int N>
ASSAY_INLINE Dual<N> operator*(const Dual<N>& a, float b) {
  return chained(a, a.value * b, b);
}
template <int N>
ASSAY_INLINE Dual<N> operator*(float a, const Dual<N>& b) {
  return chained(b, a * b.value, a);
}
template <int N>
ASSAY_INLINE Dual<N> operator/(const Dual<N>& a, float b) {
  return a * (1.0f / b);
}
template <int N>
ASSAY_INLINE Dual<N> operator/(float a, const Dual<N>& b) {
  const float inverse = 1.0f / b.value;
  return chained(b, a * inverse, -a * inverse * inverse);
}
#define ASSAY_ASSIGNING_OPERATOR(op)                                   \
  template <int N>                                                     \
  ASSAY_INLINE Dual<N>& operator op##=(Dual<N>& a, const Dual<N>& b) { \
    return a = a op b;                                                 \
  }                                                                    \
  template <int N>                                                     \
  ASSAY_INLINE Dual<N>& operator op##=(Dual<N>& a, float b) {          \
    return a = a op b;                                                 \
  }
ASSAY_ASSIGNING_OPERATOR(+)
ASSAY_ASSIGNING_OPERATOR(-)
ASSAY_ASSIGNING_OPERATOR(*)
ASSAY_ASSIGNING_OPERATOR(/)
#undef ASSAY_ASSIGNING_OPERATOR

#define ASSAY_COMPARISON(op)                                          \
  template <int N>                                                    \
  ASSAY_INLINE bool operator op(const Dual<N>& a, const Dual<N>& b) { \
    return a.value op b.value;                                        \
  }                                                                   \
  template <int N>                                                    \
  ASSAY_INLINE bool operator op(const Dual<N>& a, float b) {          \
    return a.value op b;                                              \
  }                                                                   \
  template <int N>                                                    \
  ASSAY_INLINE bool operator op(float a, const Dual<N>& b) {          \
    return a op b.value;                                              \
  }
ASSAY_COMPARISON(<)
ASSAY_COMPARISON(>)
ASSAY_COMPARISON(<=)
ASSAY_COMPARISON(>=)
#undef ASSAY_COMPARISON

ASSAY_INLINE float value_of(float x) {
  return x;
}
template <int N>
ASSAY_INLINE float value_of(const Dual<N>& x) {
  return x.value;
}

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

ASSAY_INLINE float reciprocal(float x) {
  return reciprocal_approx(x);
}
ASSAY_INLINE float exp2(float x) {
  return exp2_approx(x);
}
ASSAY_INLINE float exp(float x) {
  return exp2_approx(x * kLog2E);
}
ASSAY_INLINE float log(float x) {
  return log2_approx(x) * kLn2;
}
ASSAY_INLINE float sqrt(float x) {
  return x > 0.0f ? x * rsqrt_approx(x) : x;
}
ASSAY_INLINE float abs(float x) {
  return x < 0.0f ? -x : x;
}
ASSAY_INLINE float max(float a, float b) {
  return larger(a, b);
}
ASSAY_INLINE float min(float a, float b) {
  return -larger(-a, -b);
}
ASSAY_INLINE int max(int a, int b) {
  return a < b ? b : a;
}
ASSAY_INLINE int min(int a, int b) {
  return b < a ? b : a;
}
ASSAY_INLINE int abs(int x) {
  return x < 0 ? -x : x;
}
ASSAY_INLINE float sigmoid(float x) {
  return reciprocal_approx(1.0f + exp2_approx(-kLog2E * x));
}
/// Near f32's own precision; two special instructions.
ASSAY_INLINE float tanh(float x) {
  const float a = abs(x);
  const float square = x * x;
  // exp's cancellation would cost small arguments their digits: there the series, x⁹ below 1e-7 of x at 0.25.
  const float series =
      x * fused(square, fused(square, fused(square, -17.0f / 315, 2.0f / 15), -1.0f / 3), 1.0f);
  const float large = 1.0f - 2.0f * reciprocal_approx(1.0f + exp2_approx(2.0f * kLog2E * a));
  return a < 0.2f ? series : (x < 0.0f ? -large : large);
}
/// The hardware's tanh: one instruction, relative error up to 2^-11, an eighth of bf16's rounding.
ASSAY_INLINE float tanh_approx(float x) {
  return tanh_one_instruction(x);
}

template <int N>
ASSAY_INLINE Dual<N> exp2(const Dual<N>& x) {
  const float y = exp2(x.value);
  return chained(x, y, y * kLn2);
}
template <int N>
ASSAY_INLINE Dual<N> exp(const Dual<N>& x) {
  const float y = exp(x.value);
  return chained(x, y, y);
}
template <int N>
ASSAY_INLINE Dual<N> log(const Dual<N>& x) {
  return chained(x, log(x.value), 1.0f / x.value);
}
template <int N>
ASSAY_INLINE Dual<N> sqrt(const Dual<N>& x) {
  const float y = sqrt(x.value);
  return chained(x, y, 0.5f / y);
}
template <int N>
ASSAY_INLINE Dual<N> abs(const Dual<N>& x) {
  return x.value < 0.0f ? -x : x;
}
template <int N>
ASSAY_INLINE Dual<N> max(const Dual<N>& a, const Dual<N>& b) {
  return a.value < b.value ? b : a;
}
template <int N>
ASSAY_INLINE Dual<N> min(const Dual<N>& a, const Dual<N>& b) {
  return b.value < a.value ? b : a;
}
template <int N>
ASSAY_INLINE Dual<N> max(const Dual<N>& a, float b) {
  return max(a, Dual<N>(b));
}
template <int N>
ASSAY_INLINE Dual<N> max(float a, const Dual<N>& b) {
  return max(Dual<N>(a), b);
}
template <int N>
ASSAY_INLINE Dual<N> min(const Dual<N>& a, float b) {
  return min(a, Dual<N>(b));
}
template <int N>
ASSAY_INLINE Dual<N> min(float a, const Dual<N>& b) {
  return min(Dual<N>(a), b);
}
template <int N>
ASSAY_INLINE Dual<N> sigmoid(const Dual<N>& x) {
  const float y = sigmoid(x.value);
  return chained(x, y, y * (1.0f - y));
}
template <int N>
ASSAY_INLINE Dual<N> tanh(const Dual<N>& x) {
  const float y = tanh(x.value);
  return chained(x, y, 1.0f - y * y);
}
template <int N>
ASSAY_INLINE Dual<N> tanh_approx(const Dual<N>& x) {
  const float y = tanh_approx(x.value);
  return chained(x, y, 1.0f - y * y);
}

}  // namespace assay::kernels::attention::device
