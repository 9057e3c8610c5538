// SPDX-License-Identifier: Apache-2.0
// The formulas of softmax_pass.hpp in f64, one loop each, and how far f32 arithmetic with one rounding to the
// type may be from them. Bounds are relative to the terms that are added up, so a gradient of zeros does not
// pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/backprop/softmax_pass_cases_test.hpp"

namespace assay::kernels::backprop::cases {
namespace {

constexpr double kEps = 0x1p-24;  // half a unit in the last place of 1 in f32
constexpr double kTinyProbability = 1e-37;

struct RowOracle {
  std::vector<double> z, slope;  // slope: dz/dx
  double lse = 0.0, largest = 0.0, uncertainty = 0.0;

  RowOracle(const Sample& s, std::int64_t r) {
    const Case& c = s.c;
    const auto size = bytes_of(c.type);
    for (std::int64_t v = 0; v < c.vocab; ++v) {
      double x = s.logit(r, v);
      if (c.bias)
        x += decode(s.bias.data() + static_cast<std::size_t>(v) * size, c.type);
      const double t = c.softcap > 0 ? std::tanh(x / c.softcap) : 0.0;
      const double cosh = c.softcap > 0 ? std::cosh(x / c.softcap) : 1.0;
      z.push_back((c.softcap > 0 ? c.softcap * t : x) / c.temperature);
      slope.push_back(1.0 / (cosh * cosh) / c.temperature);
    }
    largest = *std::max_element(z.begin(), z.end());
    const double shift = std::isinf(largest) && largest < 0 ? 0.0 : largest;
    double sum = 0.0;
    for (const double value : z) sum += std::exp(value - shift);
    lse = shift + std::log(sum);
    double magnitude = 0.0;
    for (const double value : z)
      if (std::isfinite(value))
        magnitude = std::max(magnitude, std::fabs(value));
    // Transformed logits are rounded at their own size before anything is subtracted from them.
    const bool transformed = c.bias || c.softcap > 0 || c.temperature != 1.0;
    uncertainty = transformed ? 4 * kEps * magnitude : 0.0;
  }

  double p(std::size_t v) const { return std::exp(z[v] - lse); }
  /// Relative, of a probability in f32.
  double p_error(std::size_t v) const {
    return std::isfinite(z[v]) ? kEps * (8 + 4 * std::fabs(z[v] - lse)) + 2 * uncertainty : 0.0;
  }
};

double half_ulp(double value, LogitType type) {
  const int digits = type == LogitType::kFloat16 ? 11 : type == LogitType::kBfloat16 ? 8 : 24;
  const int least = type == LogitType::kFloat16 ? -14 : -126;
  const int exponent = value == 0 ? least : std::max(std::ilogb(value), least);
  return std::ldexp(0.5, exponent - (digits - 1));
}

/// Positive form, so that NaN only matches NaN.
void expect_value(double found, double wanted, double bound, const char* what, const Sample& s,
                  std::int64_t r, std::int64_t v = -1) {
  if (std::isnan(wanted) || std::isinf(wanted)) {
    const bool same = std::isnan(wanted) ? std::isnan(found) : found == wanted;
    EXPECT_TRUE(same) << what << " row " << r << " column " << v << ": found " << found << ", wanted "
                      << wanted << "; " << text_of(s.c);
    return;
  }
  EXPECT_TRUE(std::fabs(found - wanted) <= bound)
      << what << " row " << r << " column " << v << ": found " << found << ", wanted " << wanted << " ± "
      << bound << "; " << text_of(s.c);
}

void expect_gradient(double found, double wanted, double terms_error, const Sample& s, std::int64_t r,
                     std::int64_t v) {
  const double largest = s.c.type == LogitType::kFloat16 ? 65504.0 : 3e38;
  if (std::fabs(wanted) > largest)  // overflow of the type: infinity is right
    return expect_value(found, std::copysign(INFINITY, wanted), 0.0, "gradient", s, r, v);
  expect_value(found, wanted, terms_error + half_ulp(std::fabs(wanted) + terms_error, s.c.type), "gradient",
               s, r, v);
}

void expect_surroundings_untouched(Sample& s) {
  std::size_t next = 0;
  const auto expect_fill = [&](std::size_t end) {
    for (; next < end; ++next)
      ASSERT_EQ(s.allocation[next], std::byte{0xa5})
          << "byte " << next << " outside the rows; " << text_of(s.c);
  };
  for (std::int64_t r = 0; r < s.c.rows; ++r) {
    expect_fill(static_cast<std::size_t>(s.row(r) - s.allocation.data()));
    next += static_cast<std::size_t>(s.c.vocab) * bytes_of(s.c.type);
  }
  expect_fill(s.allocation.size());
}

}  // namespace

void expect_cross_entropy(Sample& s, const Runner& run) {
  const Sample before = s;
  const Case& c = s.c;
  std::vector<float> loss(static_cast<std::size_t>(c.rows), -77.0f), lse(loss);
  run.cross_entropy(s.cross_entropy(loss.data(), lse.data()), s);
  const double smoothing = static_cast<double>(c.label_smoothing), z_loss = static_cast<double>(c.z_loss);
  const double upstream = c.gradient_scale == 0.0f ? 1.0 : static_cast<double>(c.gradient_scale);
  const auto weight = [&](std::int64_t v) {
    return c.class_weight ? static_cast<double>(s.class_weight[static_cast<std::size_t>(v)]) : 1.0;
  };
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const auto at = static_cast<std::size_t>(r);
    const std::int64_t t = s.labels[at];
    if (t == -100) {
      expect_value(static_cast<double>(loss[at]), 0.0, 0.0, "loss", s, r);
      for (std::int64_t v = 0; v < c.vocab; ++v) expect_value(s.logit(r, v), 0.0, 0.0, "gradient", s, r, v);
      continue;
    }
    const RowOracle o(before, r);
    const double label_weight = (1 - smoothing) * weight(t),
                 smooth = smoothing / static_cast<double>(c.vocab);
    double weights = 0.0, wanted = label_weight * (o.lse - o.z[static_cast<std::size_t>(t)]),
           terms = std::fabs(wanted);
    double smooth_terms = 0.0;
    for (std::int64_t v = 0; v < c.vocab; ++v) weights += weight(v);
    if (smoothing > 0) {
      for (std::int64_t v = 0; v < c.vocab; ++v) {
        const auto z = o.z[static_cast<std::size_t>(v)];
        wanted += smooth * weight(v) * (o.lse - z);
        smooth_terms += smooth * weight(v) * (std::fabs(o.lse) + std::fabs(z));
      }
    }
    if (z_loss != 0)
      wanted += z_loss * o.lse * o.lse;
    terms += smooth_terms + z_loss * o.lse * o.lse;
    const double lse_error = kEps * (8 + 2 * std::fabs(o.lse)) + 2 * o.uncertainty;
    const double sum_error = (8 * kEps + 2 * o.uncertainty) * (label_weight + smooth * weights);
    expect_value(static_cast<double>(lse[at]), o.lse, lse_error, "lse", s, r);
    expect_value(static_cast<double>(loss[at]), wanted,
                 sum_error + 6 * kEps * terms + 2 * std::fabs(z_loss * o.lse) * lse_error, "loss", s, r);

    const double z_term = z_loss == 0 ? 0.0 : 2 * z_loss * o.lse;
    const double scale = label_weight + smooth * weights + z_term;
    for (std::int64_t v = 0; v < c.vocab; ++v) {
      const auto i = static_cast<std::size_t>(v);
      const double one_hot = v == t ? label_weight : 0.0, p = o.p(i);
      const double slope = upstream * o.slope[i];
      const double error = p * std::fabs(scale) * o.p_error(i) + p * 2 * std::fabs(z_loss) * lse_error +
                           4 * kEps * (p * std::fabs(scale) + one_hot + smooth * weight(v)) +
                           kTinyProbability;
      const double slope_error = c.softcap > 0 ? 2 * o.uncertainty + 16 * kEps : 4 * kEps;
      const double g = p * scale - one_hot - smooth * weight(v);
      expect_gradient(s.logit(r, v), slope * g, std::fabs(slope) * (error + slope_error * std::fabs(g)), s, r,
                      v);
    }
  }
  expect_surroundings_untouched(s);
}

void expect_statistics(Sample& s, const Runner& run) {
  const Sample before = s;
  const Case& c = s.c;
  std::vector<float> statistics(static_cast<std::size_t>(c.rows) * 3, -77.0f);
  run.statistics({.logits = s.logits(), .tokens = s.labels.data(), .statistics = statistics.data()}, s);
  ASSERT_EQ(s.allocation, before.allocation) << "the forward pass wrote logits; " << text_of(c);
  run.gradient({.logits = s.logits(),
                .tokens = s.labels.data(),
                .statistics = statistics.data(),
                .upstream = s.upstream.data(),
                .gradient_scale = s.gradient_scale.empty() ? nullptr : s.gradient_scale.data()},
               s);
  const double upstream = c.gradient_scale == 0.0f ? 1.0 : static_cast<double>(c.gradient_scale);
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const auto at = static_cast<std::size_t>(r);
    const std::int64_t t = s.labels[at];
    const float* const found = statistics.data() + 3 * at;
    if (t < 0) {
      for (int i = 0; i < 3; ++i) expect_value(static_cast<double>(found[i]), 0.0, 0.0, "statistic", s, r, i);
      for (std::int64_t v = 0; v < c.vocab; ++v) expect_value(s.logit(r, v), 0.0, 0.0, "gradient", s, r, v);
      continue;
    }
    const RowOracle o(before, r);
    double entropy = 0.0, entropy_error = 8 * kEps + 2 * o.uncertainty;
    for (std::size_t i = 0; i < o.z.size(); ++i) {
      if (o.p(i) > 0) {
        entropy -= o.p(i) * (o.z[i] - o.lse);
        entropy_error += o.p(i) * std::fabs(o.z[i] - o.lse) * (o.p_error(i) + 4 * kEps);
      }
    }
    if (std::isnan(o.lse) || std::isinf(o.lse))
      entropy = std::nan("");
    const double logp = o.z[static_cast<std::size_t>(t)] - o.lse;
    const double lse_error = kEps * (8 + 2 * std::fabs(o.lse)) + 2 * o.uncertainty;
    expect_value(static_cast<double>(found[0]), logp,
                 8 * kEps + 2 * o.uncertainty + 4 * kEps * std::fabs(logp), "logp", s, r);
    expect_value(static_cast<double>(found[1]), entropy, entropy_error, "entropy", s, r);
    expect_value(static_cast<double>(found[2]), o.lse, lse_error, "lse", s, r);

    const float* const g = s.upstream.data() + 3 * at;
    const double g0 = static_cast<double>(g[0]), g1 = static_cast<double>(g[1]),
                 g2 = static_cast<double>(g[2]);
    for (std::int64_t v = 0; v < c.vocab; ++v) {
      const auto i = static_cast<std::size_t>(v);
      const double p = o.p(i), one_hot = v == t ? g0 : 0.0;
      const double log_term = p > 0 ? g1 * (o.z[i] - o.lse + entropy) : 0.0;
      const double log_terms = p > 0 ? std::fabs(g1) * (std::fabs(o.z[i] - o.lse) + entropy) : 0.0;
      const double terms = p * (std::fabs(g0) + log_terms + std::fabs(g2));
      const double error = terms * (o.p_error(i) + lse_error + 6 * kEps) + 4 * kEps * std::fabs(one_hot) +
                           p * std::fabs(g1) * (entropy_error + lse_error) + kTinyProbability;
      const double slope = upstream * o.slope[i], wanted = one_hot - p * g0 - p * log_term + p * g2;
      const double slope_error = c.softcap > 0 ? 2 * o.uncertainty + 16 * kEps : 4 * kEps;
      expect_gradient(s.logit(r, v), slope * wanted,
                      std::fabs(slope) * (error + slope_error * std::fabs(wanted)), s, r, v);
    }
  }
  expect_surroundings_untouched(s);
}

void expect_cross_entropy(const Case& c, const Runner& run) {
  Sample sample(c);
  expect_cross_entropy(sample, run);
}

void expect_statistics(const Case& c, const Runner& run) {
  Sample sample(c);
  expect_statistics(sample, run);
}

}  // namespace assay::kernels::backprop::cases
