// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/token_statistics.hpp"

namespace assay::reference::backprop {

Matrix token_statistics(const Matrix& logits, const std::vector<std::int64_t>& tokens,
                        const Transform& transform) {
  Matrix out(logits.rows, 3);
  for_each_row(logits.rows, [&](std::int64_t n) {
    if (tokens[n] < 0)
      return;
    const Softmax row = softmax_of(logits.row(n), transform);
    out.row(n)[0] = row.log_p[tokens[n]];
    out.row(n)[1] = row.entropy;
    out.row(n)[2] = row.lse;
  });
  return out;
}

Matrix token_statistics_backward(const Matrix& logits, const std::vector<std::int64_t>& tokens,
                                 const Transform& transform, const Matrix& upstream) {
  Matrix dlogits(logits.rows, logits.cols);
  for_each_row(logits.rows, [&](std::int64_t n) {
    if (tokens[n] < 0)
      return;
    const Softmax row = softmax_of(logits.row(n), transform);
    const auto g = upstream.row(n);
    const auto dx = dlogits.row(n);
    for (std::int64_t v = 0; v < logits.cols; ++v) {
      const double hit = v == tokens[n] ? 1.0 : 0.0;
      dx[v] = g[0] * (hit - row.p[v]) - g[1] * row.p[v] * (row.log_p[v] + row.entropy) + g[2] * row.p[v];
    }
    through_transform(row, dx);
  });
  return dlogits;
}

Loss through_logp(const Matrix& logits, const std::vector<std::int64_t>& tokens, const Transform& transform,
                  const TokenLoss& loss) {
  Matrix upstream(logits.rows, 3);
  for (std::int64_t n = 0; n < logits.rows; ++n) upstream.row(n)[0] = loss.dlogp[n];
  return {loss.value, token_statistics_backward(logits, tokens, transform, upstream)};
}

std::vector<double> token_logp(const Matrix& logits, const std::vector<std::int64_t>& tokens,
                               const Transform& transform) {
  const Matrix statistics = token_statistics(logits, tokens, transform);
  std::vector<double> logp;
  for (std::int64_t n = 0; n < logits.rows; ++n) logp.push_back(statistics.row(n)[0]);
  return logp;
}

}  // namespace assay::reference::backprop
