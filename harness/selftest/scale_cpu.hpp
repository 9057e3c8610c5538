// SPDX-License-Identifier: Apache-2.0
// Elementwise arithmetic of selftest/scale on the CPU, shared by right and wrong implementations.
#pragma once

#include "harness/selftest/scale.hpp"
#include "harness/verify/ulp.hpp"

namespace assay::harness::selftest {

inline double load(const TensorView& view, std::int64_t i) {
  return view.dtype == Dtype::kFloat32 ? decode<Float32Format>(view.as<std::uint32_t>()[i])
                                       : decode<Bfloat16Format>(view.as<std::uint16_t>()[i]);
}
inline void store(const TensorView& view, std::int64_t i, double value) {
  if (view.dtype == Dtype::kFloat32) {
    view.as<std::uint32_t>()[i] = encode<Float32Format>(value);
  } else {
    view.as<std::uint16_t>()[i] = encode<Bfloat16Format>(value);
  }
}
/// Changes the last bit of one element.
inline void flip_last_bit(const TensorView& view, std::int64_t i) {
  view.as<std::uint8_t>()[i * static_cast<std::int64_t>(size_of(view.dtype))] ^= 1;  // little endian
}
/// The right answer for elements [begin, end), rounded once.
inline void scale(const ScaleViews& v, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const double twice = 2.0 * load(v.x, i);
    store(v.up, i, twice + 1.0);
    store(v.down, i, 1.0 - twice);
  }
}

/// Right within the tolerance, but every other call has another last bit in one element: a small one, whose
/// last place is far below the limit of its tile.
struct LastBitVaries {
  int calls = 0;
  void operator()(const ScaleViews& v) {
    scale(v, 0, v.count());
    std::int64_t i = 0;
    while (i < v.count() && std::abs(load(v.up, i)) >= 0.25) {
      ++i;
    }
    if (++calls % 2 == 0 && i < v.count()) {
      flip_last_bit(v.up, i);
    }
  }
};

/// Sets `prepare` to a call of `body(views)`; `body` may keep state of its own, made anew at each prepare.
template <class MakeBody>
Implementation with_body(Implementation implementation, MakeBody make_body) {
  implementation.prepare = [make_body](const Case&, const TensorSet& inputs, TensorSet& outputs, CallStyle) {
    return Invocation(
        [views = views_of(inputs, outputs), body = make_body()](Stream) mutable { body(views); });
  };
  return implementation;
}

}  // namespace assay::harness::selftest
