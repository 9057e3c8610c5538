// SPDX-License-Identifier: Apache-2.0
// Infinities and NaN, and one call of everything for comparing bits.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/llama/pointwise_cases_test.hpp"

namespace assay::kernels::llama::cases {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void expect_norm_extremes(ElementType type, const Machine& machine) {
  constexpr std::int64_t kRows = 4, kHidden = 192;
  Arena a;
  const Matrix x = a.add(type, kRows, kHidden), w = a.add(type, 1, kHidden), y = a.add(type, kRows, kHidden);
  a.fill(x, 1.0, 1), a.fill(w, 1.0, 2);
  a.set(x, 0, 17, kNan), a.set(x, 2, 5, kInfinity);
  for (std::int64_t c = 0; c < kHidden; ++c) a.set(x, 3, c, 0.0);
  machine.on(a, [&](std::byte* base) {
    machine.rms_norm({.type = type,
                      .rows = kRows,
                      .hidden = kHidden,
                      .x = x.in(base),
                      .weight = base + w.offset,
                      .y = y.out(base)});
  });
  for (std::int64_t c = 0; c < kHidden; ++c) {
    EXPECT_TRUE(std::isnan(a.get(y, 0, c))) << c;
    EXPECT_TRUE(std::isfinite(a.get(y, 1, c))) << c;
    EXPECT_EQ(a.get(y, 3, c), 0.0) << c;
  }
  EXPECT_TRUE(std::isnan(a.get(y, 2, 5)));  // ∞ · 0, as in torch
  EXPECT_EQ(a.get(y, 2, 6), 0.0);
}

void expect_swiglu_extremes(ElementType type, const Machine& machine) {
  constexpr std::int64_t kColumns = 24;
  Arena a;
  const auto matrix = [&] { return a.add(type, 1, kColumns); };
  const Matrix gate = matrix(), up = matrix(), dy = matrix(), dgate = matrix(), dup = matrix(), y = matrix();
  a.fill(gate, 1.0, 1), a.fill(up, 1.0, 2), a.fill(dy, 1.0, 3);
  a.set(gate, 0, 0, kInfinity), a.set(gate, 0, 1, -kInfinity), a.set(gate, 0, 2, kNan), a.set(up, 0, 3, kNan);
  a.set(gate, 0, 4, 0.0), a.set(dy, 0, 5, kNan);
  machine.on(a, [&](std::byte* base) {
    machine.swiglu_backward({type, 1, kColumns, gate.in(base), up.in(base), dy.in(base), dgate.out(base),
                             dup.out(base), y.out(base)});
  });
  EXPECT_TRUE(std::isinf(a.get(y, 0, 0)));
  EXPECT_TRUE(std::isinf(a.get(dup, 0, 0)));
  for (const std::int64_t c : {1, 2, 3}) EXPECT_TRUE(std::isnan(a.get(y, 0, c))) << c;
  EXPECT_TRUE(std::isnan(a.get(dgate, 0, 2)));
  EXPECT_TRUE(std::isnan(a.get(dup, 0, 2)));
  EXPECT_EQ(a.get(y, 0, 4), 0.0);
  EXPECT_TRUE(std::isfinite(a.get(y, 0, 5)));
  EXPECT_TRUE(std::isnan(a.get(dgate, 0, 5)));
  for (std::int64_t c = 6; c < kColumns; ++c)
    EXPECT_TRUE(std::isfinite(a.get(y, 0, c) + a.get(dgate, 0, c) + a.get(dup, 0, c))) << c;
}

}  // namespace

void expect_extremes(ElementType type, const Machine& machine) {
  expect_norm_extremes(type, machine);
  expect_swiglu_extremes(type, machine);
}

std::vector<std::byte> outputs_of_everything(const Machine& machine) {
  constexpr std::int64_t kRows = 300, kHidden = 1024, kHeadDim = 128, kHeads = kHidden / kHeadDim;
  constexpr auto kType = ElementType::kBfloat16;
  Arena a;
  const auto matrix = [&] { return a.add(kType, kRows, kHidden); };
  const Matrix x = matrix(), other = matrix(), third = matrix(), w = a.add(kType, 1, kHidden);
  const Matrix rstd = a.add(ElementType::kFloat32, 1, kRows),
               frequency = a.add(ElementType::kFloat32, 1, kHeadDim / 2);
  const Matrix norm = matrix(), sum = matrix(), dh = matrix(), dw = a.add(kType, 1, kHidden),
               turned = matrix(), y = matrix(), dgate = matrix(), dup = matrix();
  a.fill(x, 1.0, 1), a.fill(other, 1.0, 2), a.fill(third, 1.0, 3), a.fill(w, 1.0, 4),
      a.fill(frequency, 0.1, 5);
  RmsNormBackward norm_backward{.type = kType, .rows = kRows, .hidden = kHidden};
  norm_backward.dw = a.data();
  const std::int64_t floats = rms_norm_workspace_bytes(norm_backward) / 4;
  const Matrix workspace = a.add(ElementType::kFloat32, 1, floats);
  machine.on(a, [&](std::byte* base) {
    const auto rstd_at = reinterpret_cast<float*>(base + rstd.offset);
    machine.rms_norm({kType, kRows, kHidden, x.in(base), other.in(base), base + w.offset, 1e-5f,
                      sum.out(base), norm.out(base), rstd_at});
    machine.rms_norm_backward({kType, kRows, kHidden, sum.in(base), base + w.offset, rstd_at, third.in(base),
                               other.in(base), dh.out(base), base + dw.offset, base + workspace.offset});
    const auto strides = token_major(kRows, kHeads, kHeadDim);
    machine.rope({.type = kType,
                  .length = kRows,
                  .head_dim = kHeadDim,
                  .q = {base + x.offset, base + turned.offset, kHeads, strides, strides},
                  .inverse_frequency = reinterpret_cast<const float*>(base + frequency.offset)});
    machine.swiglu({kType, kRows, kHidden, x.in(base), other.in(base), y.out(base)});
    machine.swiglu_backward({kType, kRows, kHidden, x.in(base), other.in(base), third.in(base),
                             dgate.out(base), dup.out(base), OutputRows{}});
  });
  return {a.data(), a.data() + workspace.offset};
}

}  // namespace assay::kernels::llama::cases
