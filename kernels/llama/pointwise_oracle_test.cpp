// SPDX-License-Identifier: Apache-2.0
// The formulas of rope and SwiGLU in f64.
#include <cstring>

#include "kernels/llama/pointwise_judge_test.hpp"

namespace assay::kernels::llama::cases {
namespace {

double frequency_of(std::int64_t i, std::int64_t head_dim) {
  return std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
}

}  // namespace

void expect_rope(const RopeCase& c, const Machine& machine) {
  Arena a;
  const std::int64_t tokens = c.batches * c.length, half = c.head_dim / 2;
  const auto heads_of = [&](std::int64_t heads) {
    return a.add(c.type, tokens * heads, c.head_dim, 0, c.shift);
  };
  const Matrix q = heads_of(c.q_heads), k = heads_of(c.k_heads);
  const Matrix q_out = c.in_place ? q : heads_of(c.q_heads), k_out = c.in_place ? k : heads_of(c.k_heads);
  const Matrix frequency = a.add(ElementType::kFloat32, 1, half);
  const Matrix positions = a.add(ElementType::kFloat32, tokens, 2);
  a.fill(q, 1.0, 1), a.fill(k, 1.0, 2);
  for (std::int64_t i = 0; i < half; ++i) a.set(frequency, 0, i, frequency_of(i, c.head_dim));
  const auto position = [&](std::int64_t token) {
    return c.position_bytes == 0 ? token % c.length : (token * 37 + 11) % 4001;
  };
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t p = position(t);
    if (c.position_bytes > 0)
      std::memcpy(a.data() + positions.offset + static_cast<std::size_t>(t * c.position_bytes), &p,
                  c.position_bytes);
  }
  const auto strides = [&](std::int64_t heads) {
    return c.head_major ? head_major(c.length, heads, c.head_dim) : token_major(c.length, heads, c.head_dim);
  };
  const auto call = [&](std::byte* base) {
    const auto tensor = [&](const Matrix& in, const Matrix& out, std::int64_t heads) {
      return RopeTensor{base + in.offset, base + out.offset, heads, strides(heads), strides(heads)};
    };
    machine.rope({.type = c.type,
                  .batches = c.batches,
                  .length = c.length,
                  .head_dim = c.head_dim,
                  .q = tensor(q, q_out, c.q_heads),
                  .k = tensor(k, k_out, c.k_heads),
                  .inverse_frequency = reinterpret_cast<const float*>(base + frequency.offset),
                  .positions = c.position_bytes > 0 ? base + positions.offset : nullptr,
                  .position_type = c.position_bytes == 4 ? PositionType::kInt32 : PositionType::kInt64,
                  .backward = c.backward});
  };
  Judge judge(a, machine, call,
              text("rope", name_of(c.type), tokens, c.q_heads, c.k_heads, "of", c.head_dim));
  const auto expect = [&](const Matrix& in, const Matrix& out, std::int64_t heads, const char* name) {
    judge.output(out, name, [&](std::int64_t row, std::int64_t i) {
      const std::int64_t token =
          c.head_major ? row / (heads * c.length) * c.length + row % c.length : row / heads;
      const double angle = static_cast<double>(position(token)) * a.get(frequency, 0, i % half);
      const double first = judge.before.get(in, row, i % half),
                   second = judge.before.get(in, row, i % half + half);
      const double sine = c.backward ? -std::sin(angle) : std::sin(angle), cosine = std::cos(angle);
      const double truth = i < half ? first * cosine - second * sine : second * cosine + first * sine;
      return std::pair(truth, std::fabs(first) + std::fabs(second));
    });
  };
  expect(q, q_out, c.q_heads, "q");
  expect(k, k_out, c.k_heads, "k");
}

void expect_exact_angles(const Machine& machine) {
  constexpr std::int64_t kHeadDim = 128, kHalf = 64;
  const std::vector<std::int64_t> positions = {0, 1, 8191, 105615, 131071, 1048573, 16777215};
  const auto tokens = static_cast<std::int64_t>(positions.size());
  Arena a;
  const Matrix q = a.add(ElementType::kFloat32, tokens, kHeadDim),
               out = a.add(ElementType::kFloat32, tokens, kHeadDim);
  const Matrix frequency = a.add(ElementType::kFloat32, 1, kHalf),
               at = a.add(ElementType::kFloat32, tokens, 2);
  a.fill(q, 1.0, 1);
  std::memcpy(a.data() + at.offset, positions.data(), positions.size() * 8);
  for (std::int64_t i = 0; i < kHalf; ++i)
    a.set(frequency, 0, i, std::pow(500000.0, -static_cast<double>(i) / 64.0));
  const auto call = [&](std::byte* base) {
    const auto strides = token_major(tokens, 1, kHeadDim);
    machine.rope({.type = ElementType::kFloat32,
                  .length = tokens,
                  .head_dim = kHeadDim,
                  .q = {base + q.offset, base + out.offset, 1, strides, strides},
                  .inverse_frequency = reinterpret_cast<const float*>(base + frequency.offset),
                  .positions = base + at.offset});
  };
  Judge judge(a, machine, call, "rope far out");
  judge.output(out, "q", [&](std::int64_t t, std::int64_t i) {
    const double angle = static_cast<double>(positions[t]) * a.get(frequency, 0, i % kHalf);
    const double first = judge.before.get(q, t, i % kHalf),
                 second = judge.before.get(q, t, i % kHalf + kHalf);
    const double truth = i < kHalf ? first * std::cos(angle) - second * std::sin(angle)
                                   : second * std::cos(angle) + first * std::sin(angle);
    return std::pair(truth, std::fabs(first) + std::fabs(second));
  });
}

void expect_swiglu(const SwigluCase& c, const Machine& machine) {
  for (const bool backward : {false, true}) {
    Arena a;
    const std::int64_t stride = c.halves ? 2 * c.columns : c.columns + c.padding;
    const auto pair = [&] {
      Matrix first = a.add(c.type, c.rows, c.halves ? 2 * c.columns : c.columns, stride, c.shift);
      first.columns = c.columns;
      Matrix second = first;
      if (c.halves)
        second.offset = first.byte_of(0, c.columns);
      else
        second = a.add(c.type, c.rows, c.columns, stride, c.shift);
      return std::pair(first, second);
    };
    const auto [gate, up] = pair();
    const Matrix dy = a.add(c.type, c.rows, c.columns, c.columns + c.padding, c.shift);
    const auto [dgate, dup] = c.in_place ? std::pair(gate, up) : pair();
    const Matrix y = !c.in_place ? a.add(c.type, c.rows, c.columns, c.columns + c.padding, c.shift)
                     : backward  ? dy
                                 : up;
    a.fill(gate, 2.5, 1), a.fill(up, 1.0, 2), a.fill(dy, 0.7, 3);
    double edge = -120.0;
    for (std::int64_t i = 0; i < c.columns; i += 5, edge += 17.0)
      a.set(gate, 0, i, edge < 120.0 ? edge : 0.0);
    const bool writes_y = !backward || c.again;
    const auto call = [&](std::byte* base) {
      if (!backward) {
        return machine.swiglu({c.type, c.rows, c.columns, gate.in(base), up.in(base), y.out(base)});
      }
      machine.swiglu_backward({c.type, c.rows, c.columns, gate.in(base), up.in(base), dy.in(base),
                               dgate.out(base), dup.out(base), c.again ? y.out(base) : OutputRows{}});
    };
    Judge judge(a, machine, call,
                text("swiglu", name_of(c.type), c.rows, "x", c.columns, "backward", backward));
    const auto g = [&](std::int64_t r, std::int64_t i) { return judge.before.get(gate, r, i); };
    const auto u = [&](std::int64_t r, std::int64_t i) { return judge.before.get(up, r, i); };
    const auto d = [&](std::int64_t r, std::int64_t i) { return judge.before.get(dy, r, i); };
    const auto sigmoid = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
    // f32 results below 2^-126 may be flushed to 0.
    const auto with_terms = [](double truth) {
      return std::pair(truth, std::fabs(truth) + 0x1p-126 / kArithmetic);
    };
    if (writes_y) {
      judge.output(y, "y", [&](std::int64_t r, std::int64_t i) {
        return with_terms(g(r, i) * sigmoid(g(r, i)) * u(r, i));
      });
    }
    if (!backward)
      continue;
    judge.output(dup, "dup", [&](std::int64_t r, std::int64_t i) {
      return with_terms(d(r, i) * g(r, i) * sigmoid(g(r, i)));
    });
    judge.output(dgate, "dgate", [&](std::int64_t r, std::int64_t i) {
      const double x = g(r, i), s = sigmoid(x), outer = d(r, i) * u(r, i) * s;
      return std::pair(outer * (1.0 + x * sigmoid(-x)),
                       std::fabs(outer) * (1.0 + std::fabs(x) * sigmoid(-x)) + 0x1p-126 / kArithmetic);
    });
  }
}

}  // namespace assay::kernels::llama::cases
