// SPDX-License-Identifier: Apache-2.0
#include "reference/attention/attention.hpp"

#include <cmath>
#include <limits>

namespace assay::reference::attention {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

/// One query of one head: its scores against every key of its sequence, and their softmax.
struct Row {
  std::vector<Score> scores;
  std::vector<double> p;
  double lse = kNothing;
};

double rounded(const Rounding& round, double x) {
  return round ? round(x) : x;
}

void round_all(const Rounding& round, std::vector<double>& values) {
  for (double& x : values) x = rounded(round, x);
}

/// Where row `row` of head `h` begins in [rows, heads, head_size].
std::size_t at(int row, int h, int heads, int head_size) {
  return (static_cast<std::size_t>(row) * heads + h) * head_size;
}

Row row_of(const Shape& s, const Mods& mods, std::span<const double> q, std::span<const double> k, int b,
           int h, int i, const Rounding& round) {
  const int keys = s.k_starts[b + 1] - s.k_starts[b], g = h / (s.q_heads / s.kv_heads);
  const double* q_row = &q[at(s.q_starts[b] + i, h, s.q_heads, s.head_size)];
  Row row;
  double largest = kNothing;
  for (int j = 0; j < keys; ++j) {
    const double* k_row = &k[at(s.k_starts[b] + j, g, s.kv_heads, s.head_size)];
    double x = 0.0;
    for (int d = 0; d < s.head_size; ++d) x += q_row[d] * k_row[d];
    x = rounded(round, x * s.scale);
    Score score{kNothing, 0.0, {}};
    if (!mods.mask || mods.mask(b, h, i, j))
      score = mods.score ? mods.score(x, b, h, i, j) : Score{x, 1.0, {}};
    score.value = rounded(round, score.value);
    largest = std::fmax(largest, score.value);
    row.scores.push_back(score);
  }
  row.p.assign(row.scores.size(), 0.0);
  if (largest == kNothing)
    return row;
  double sum = 0.0;
  for (const Score& score : row.scores) sum += std::exp(score.value - largest);
  row.lse = largest + std::log(sum);
  for (std::size_t j = 0; j < row.p.size(); ++j)
    row.p[j] = rounded(round, std::exp(row.scores[j].value - row.lse));
  return row;
}

/// Calls visit(b, h, i) for every query of every head.
template <class Visit>
void for_each_row(const Shape& s, Visit visit) {
  for (int b = 0; b < s.batch(); ++b)
    for (int h = 0; h < s.q_heads; ++h)
      for (int i = 0; i < s.q_starts[b + 1] - s.q_starts[b]; ++i) visit(b, h, i);
}

}  // namespace

Output forward(const Shape& s, const Mods& mods, std::span<const double> q, std::span<const double> k,
               std::span<const double> v, const Rounding& round) {
  Output out{std::vector<double>(s.q_elements()),
             std::vector<double>(static_cast<std::size_t>(s.q_starts.back()) * s.q_heads)};
  for_each_row(s, [&](int b, int h, int i) {
    const Row row = row_of(s, mods, q, k, b, h, i, round);
    const int q_row = s.q_starts[b] + i, g = h / (s.q_heads / s.kv_heads);
    out.lse[at(q_row, h, s.q_heads, 1)] = row.lse;
    double* o = &out.o[at(q_row, h, s.q_heads, s.head_size)];
    for (std::size_t j = 0; j < row.p.size(); ++j) {
      const double* v_row = &v[at(s.k_starts[b] + static_cast<int>(j), g, s.kv_heads, s.head_size)];
      for (int d = 0; d < s.head_size; ++d) o[d] += row.p[j] * v_row[d];
    }
  });
  round_all(round, out.o);
  return out;
}

Gradients backward(const Shape& s, const Mods& mods, std::span<const double> q, std::span<const double> k,
                   std::span<const double> v, std::span<const double> d_o, std::span<const double> d_lse,
                   const std::vector<std::int64_t>& parameter_sizes, const Rounding& round) {
  Gradients gradients{
      std::vector<double>(q.size()), std::vector<double>(k.size()), std::vector<double>(v.size()), {}};
  for (const std::int64_t size : parameter_sizes)
    gradients.parameters.emplace_back(static_cast<std::size_t>(size));
  for_each_row(s, [&](int b, int h, int i) {
    const Row row = row_of(s, mods, q, k, b, h, i, round);
    const int g = h / (s.q_heads / s.kv_heads), keys = static_cast<int>(row.p.size());
    const std::size_t q_at = at(s.q_starts[b] + i, h, s.q_heads, s.head_size);
    const auto kv_at = [&](int j) { return at(s.k_starts[b] + j, g, s.kv_heads, s.head_size); };

    std::vector<double> dp(row.p.size());
    double mean = 0.0;
    for (int j = 0; j < keys; ++j) {
      for (int d = 0; d < s.head_size; ++d) dp[j] += d_o[q_at + d] * v[kv_at(j) + d];
      dp[j] = rounded(round, dp[j]);
      mean += row.p[j] * dp[j];
    }
    const double from_lse = d_lse.empty() ? 0.0 : d_lse[at(s.q_starts[b] + i, h, s.q_heads, 1)];
    for (int j = 0; j < keys; ++j) {
      if (row.p[j] == 0.0)
        continue;
      const double ds = rounded(round, row.p[j] * (dp[j] - mean + from_lse));
      for (const Score::Read& read : row.scores[j].reads)
        gradients.parameters.at(read.slot).at(read.index) += ds * read.derivative;
      const double dx = rounded(round, ds * row.scores[j].derivative) * s.scale;
      for (int d = 0; d < s.head_size; ++d) {
        gradients.q[q_at + d] += dx * k[kv_at(j) + d];
        gradients.k[kv_at(j) + d] += dx * q[q_at + d];
        gradients.v[kv_at(j) + d] += row.p[j] * d_o[q_at + d];
      }
    }
  });
  for (std::vector<double>* values : {&gradients.q, &gradients.k, &gradients.v}) round_all(round, *values);
  return gradients;
}

}  // namespace assay::reference::attention
