// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/cross_entropy.hpp"

#include <stdexcept>

namespace assay::reference::backprop {
namespace {

double weight_of(const CrossEntropy& options, std::int64_t v) {
  return options.class_weight.empty() ? 1.0 : options.class_weight[v];
}

/// Row loss Σ_v c_v·(lse − z_v) + z_loss·lse² for coefficients c ≥ 0; dx receives divisor⁻¹ times its
/// derivative.
double weighted_row(std::span<const double> x, const std::vector<double>& c, const CrossEntropy& options,
                    double divisor, std::span<double> dx) {
  const Softmax row = softmax_of(x, options.transform);
  double loss = options.z_loss * row.lse * row.lse, sum = 0.0;
  for (std::size_t v = 0; v < c.size(); ++v) {
    loss -= c[v] * row.log_p[v];
    sum += c[v];
  }
  for (std::size_t v = 0; v < c.size(); ++v) {
    dx[v] = (row.p[v] * (sum + 2.0 * options.z_loss * row.lse) - c[v]) / divisor;
  }
  through_transform(row, dx);
  return loss / divisor;
}

}  // namespace

Loss cross_entropy(const Matrix& logits, const std::vector<std::int64_t>& labels,
                   const CrossEntropy& options) {
  double divisor = 0.0;
  for (const std::int64_t label : labels) {
    if (label == options.ignore_index)
      continue;
    if (label < 0 || label >= logits.cols)
      throw std::invalid_argument("backprop oracle: a label lies outside the vocabulary");
    divisor += weight_of(options, label);
  }
  Loss loss{0.0, Matrix(logits.rows, logits.cols)};
  std::vector<double> rows(static_cast<std::size_t>(logits.rows), 0.0);
  const double spread = options.label_smoothing / static_cast<double>(logits.cols);
  for_each_row(logits.rows, [&](std::int64_t n) {
    if (labels[n] == options.ignore_index)
      return;
    std::vector<double> c(static_cast<std::size_t>(logits.cols));
    for (std::int64_t v = 0; v < logits.cols; ++v) {
      const double hit = v == labels[n] ? 1.0 - options.label_smoothing : 0.0;
      c[v] = weight_of(options, v) * (hit + spread);
    }
    rows[n] = weighted_row(logits.row(n), c, options, divisor, loss.dlogits.row(n));
  });
  for (const double row : rows) loss.value += row;
  return loss;
}

Loss cross_entropy_soft(const Matrix& logits, const Matrix& targets, const CrossEntropy& options) {
  Loss loss{0.0, Matrix(logits.rows, logits.cols)};
  std::vector<double> rows(static_cast<std::size_t>(logits.rows), 0.0);
  const double spread = options.label_smoothing / static_cast<double>(logits.cols);
  for_each_row(logits.rows, [&](std::int64_t n) {
    std::vector<double> c(static_cast<std::size_t>(logits.cols));
    for (std::int64_t v = 0; v < logits.cols; ++v) {
      c[v] = weight_of(options, v) * ((1.0 - options.label_smoothing) * targets.row(n)[v] + spread);
    }
    rows[n] = weighted_row(logits.row(n), c, options, static_cast<double>(logits.rows), loss.dlogits.row(n));
  });
  for (const double row : rows) loss.value += row;
  return loss;
}

}  // namespace assay::reference::backprop
