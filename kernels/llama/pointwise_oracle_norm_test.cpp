// SPDX-License-Identifier: Apache-2.0
// The norm's formulas in f64.
#include "kernels/llama/pointwise_judge_test.hpp"

namespace assay::kernels::llama::cases {
namespace {

constexpr double kEps = 1e-5;

struct Row {
  std::vector<double> h, w;
  double rstd;
};
Row row_of(const Arena& arena, const Matrix& h, const Matrix& w, std::int64_t r) {
  Row row;
  double squares = 0.0;
  for (std::int64_t c = 0; c < h.columns; ++c) {
    row.h.push_back(arena.get(h, r, c));
    row.w.push_back(arena.get(w, 0, c));
    squares += row.h.back() * row.h.back();
  }
  row.rstd = 1.0 / std::sqrt(squares / static_cast<double>(h.columns) +
                             static_cast<double>(static_cast<float>(kEps)));
  return row;
}

void expect_norm_forward(const NormCase& c, const Machine& machine) {
  Arena a;
  const std::int64_t stride = c.hidden + c.padding;
  const auto matrix = [&] { return a.add(c.type, c.rows, c.hidden, stride, c.shift); };
  const Matrix x = matrix(), residual = c.residual ? matrix() : Matrix{},
               w = a.add(c.type, 1, c.hidden, 0, c.shift);
  const Matrix sum = !c.residual ? x : c.in_place ? residual : matrix(), y = c.in_place ? x : matrix();
  const Matrix rstd = a.add(ElementType::kFloat32, c.rows, 1);
  a.fill(x, 1.5, 1), a.fill(w, 1.0, 2);
  if (c.residual)
    a.fill(residual, 1.0, 3);
  for (std::int64_t i = 0; i < c.hidden; ++i)
    a.set(x, c.rows / 2, i, 1e-3 * a.get(x, c.rows / 2, i));  // eps counts
  const auto call = [&](std::byte* base) {
    machine.rms_norm({.type = c.type,
                      .rows = c.rows,
                      .hidden = c.hidden,
                      .x = x.in(base),
                      .residual = c.residual ? residual.in(base) : InputRows{},
                      .weight = base + w.offset,
                      .eps = static_cast<float>(kEps),
                      .sum = c.residual ? sum.out(base) : OutputRows{},
                      .y = y.out(base),
                      .rstd = reinterpret_cast<float*>(base + rstd.offset)});
  };
  Judge judge(a, machine, call, text("norm", name_of(c.type), c.rows, "x", c.hidden, "residual", c.residual));
  if (c.residual) {
    judge.output(sum, "sum", [&](std::int64_t r, std::int64_t i) {
      const double truth = judge.before.get(x, r, i) + judge.before.get(residual, r, i);
      return std::pair(truth, std::fabs(truth));
    });
  }
  std::vector<Row> rows;
  for (std::int64_t r = 0; r < c.rows; ++r) rows.push_back(row_of(c.residual ? a : judge.before, sum, w, r));
  judge.output(rstd, "rstd",
               [&](std::int64_t r, std::int64_t) { return std::pair(rows[r].rstd, rows[r].rstd); });
  judge.output(y, "y", [&](std::int64_t r, std::int64_t i) {
    const double truth = rows[r].w[i] * rows[r].h[i] * rows[r].rstd;
    return std::pair(truth, std::fabs(truth));
  });
}

void expect_norm_backward(const NormCase& c, const Machine& machine) {
  Arena a;
  const std::int64_t stride = c.hidden + c.padding;
  const auto matrix = [&] { return a.add(c.type, c.rows, c.hidden, stride, c.shift); };
  const Matrix h = matrix(), dy = matrix(), w = a.add(c.type, 1, c.hidden, 0, c.shift);
  const Matrix dsum = c.residual ? matrix() : Matrix{}, dh = !c.in_place ? matrix() : c.residual ? dsum : dy;
  const Matrix rstd = a.add(ElementType::kFloat32, c.rows, 1), dw = a.add(c.type, 1, c.hidden);
  a.fill(h, 1.5, 4), a.fill(dy, 0.7, 5), a.fill(w, 1.0, 6);
  if (c.residual)
    a.fill(dsum, 1.0, 7);
  for (std::int64_t r = 0; r < c.rows; ++r) a.set(rstd, r, 0, row_of(a, h, w, r).rstd);
  RmsNormBackward args{.type = c.type, .rows = c.rows, .hidden = c.hidden};
  const auto arguments = [&](std::byte* base) {
    args.h = h.in(base), args.dy = dy.in(base), args.dh = dh.out(base);
    args.dsum = c.residual ? dsum.in(base) : InputRows{};
    args.weight = base + w.offset;
    args.rstd = reinterpret_cast<const float*>(base + rstd.offset);
    args.dw = c.trains_weight ? base + dw.offset : nullptr;
    return args;
  };
  const std::int64_t floats = rms_norm_workspace_bytes(arguments(a.data())) / 4;
  const Matrix workspace = a.add(ElementType::kFloat32, 1, std::max<std::int64_t>(floats, 1));
  for (std::int64_t i = 0; i < workspace.columns; ++i) a.set(workspace, 0, i, NAN);  // nobody clears it
  const auto call = [&](std::byte* base) {
    RmsNormBackward with_workspace = arguments(base);
    with_workspace.workspace = base + workspace.offset;
    machine.rms_norm_backward(with_workspace);
  };
  Judge judge(a, machine, call,
              text("norm backward", name_of(c.type), c.rows, "x", c.hidden, "dw", c.trains_weight));
  std::vector<double> dw_truth(static_cast<std::size_t>(c.hidden)), dw_terms(dw_truth);
  Row row;
  double mean = 0.0, mean_terms = 0.0;
  judge.output(dh, "dh", [&](std::int64_t r, std::int64_t i) {
    const double n = static_cast<double>(c.hidden);
    if (i == 0) {
      row = row_of(judge.before, h, w, r), mean = mean_terms = 0.0;
      for (std::int64_t k = 0; k < c.hidden; ++k) {
        const double unit = row.h[k] * row.rstd, g = judge.before.get(dy, r, k);
        mean += g * row.w[k] * unit / n, mean_terms += std::fabs(g * row.w[k] * unit) / n;
        dw_truth[k] += g * unit, dw_terms[k] += std::fabs(g * unit);
      }
    }
    const double g = judge.before.get(dy, r, i) * row.w[i], unit = row.h[i] * row.rstd;
    const double past = c.residual ? judge.before.get(dsum, r, i) : 0.0;
    return std::pair(row.rstd * (g - unit * mean) + past,
                     row.rstd * (std::fabs(g) + std::fabs(unit) * mean_terms) + std::fabs(past));
  });
  judge.may_be_written(workspace);
  if (c.trains_weight) {
    judge.output(dw, "dw", [&](std::int64_t, std::int64_t i) { return std::pair(dw_truth[i], dw_terms[i]); });
  }
}

}  // namespace

void expect_norm(const NormCase& c, const Machine& machine) {
  expect_norm_forward(c, machine);
  expect_norm_backward(c, machine);
}

}  // namespace assay::kernels::llama::cases
