// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/distillation.hpp"

#include <cmath>

#include "reference/backprop/softmax.hpp"

namespace assay::reference::backprop {
namespace {

/// One row: the divergence, and its derivative with respect to the student's probabilities up to a constant
/// (a softmax takes no notice of one).
struct Divergence {
  double value = 0.0;
  std::vector<double> dp;
};

Divergence divergence(const Softmax& p, const Softmax& q, double beta) {
  Divergence out;
  for (std::size_t v = 0; v < p.p.size(); ++v) {
    if (beta == 0.0) {  // KL(q‖p)
      out.value += q.p[v] * (q.log_p[v] - p.log_p[v]);
      out.dp.push_back(-q.p[v] / p.p[v]);
    } else if (beta == 1.0) {  // KL(p‖q)
      out.value += p.p[v] * (p.log_p[v] - q.log_p[v]);
      out.dp.push_back(p.log_p[v] - q.log_p[v]);
    } else {
      const double log_m = std::log(beta * q.p[v] + (1.0 - beta) * p.p[v]);
      out.value += beta * q.p[v] * (q.log_p[v] - log_m) + (1.0 - beta) * p.p[v] * (p.log_p[v] - log_m);
      out.dp.push_back((1.0 - beta) * (p.log_p[v] - log_m));
    }
  }
  return out;
}

}  // namespace

Loss mean_squared_error(const Matrix& logits, const Matrix& targets) {
  Loss loss{0.0, Matrix(logits.rows, logits.cols)};
  const double count = static_cast<double>(logits.rows) * static_cast<double>(logits.cols);
  for (std::size_t i = 0; i < logits.values.size(); ++i) {
    const double difference = logits.values[i] - targets.values[i];
    loss.value += difference * difference / count;
    loss.dlogits.values[i] = 2.0 * difference / count;
  }
  return loss;
}

Loss distillation(const Matrix& student, const Matrix& teacher, double temperature, double beta) {
  Loss loss{0.0, Matrix(student.rows, student.cols)};
  std::vector<double> rows(static_cast<std::size_t>(student.rows), 0.0);
  const Transform transform{.softcap = 0.0, .temperature = temperature};
  const double scale = temperature * temperature / static_cast<double>(student.rows);
  for_each_row(student.rows, [&](std::int64_t n) {
    const Softmax p = softmax_of(student.row(n), transform), q = softmax_of(teacher.row(n), transform);
    const Divergence d = divergence(p, q, beta);
    rows[n] = scale * d.value;
    double mean = 0.0;
    for (std::size_t v = 0; v < d.dp.size(); ++v) mean += p.p[v] * d.dp[v];
    const auto dx = loss.dlogits.row(n);
    for (std::size_t v = 0; v < d.dp.size(); ++v) dx[v] = scale * p.p[v] * (d.dp[v] - mean);
    through_transform(p, dx);
  });
  for (const double row : rows) loss.value += row;
  return loss;
}

}  // namespace assay::reference::backprop
