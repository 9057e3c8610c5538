// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention/emulated/rounding.hpp"
#include "tests/attention/cases.hpp"

namespace assay::kernels::attention::cases {

std::uint16_t to_bits(double x, ElementType type) {
  const float f = static_cast<float>(x);
  return type == ElementType::kFloat16 ? emulated::to_half(f) : emulated::to_bfloat16(f);
}
double from_bits(std::uint16_t bits, ElementType type) {
  return type == ElementType::kFloat16 ? emulated::from_half(bits) : emulated::from_bfloat16(bits);
}

namespace {

namespace oracle = reference::attention;

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// The same functions as example_mods, in f64.
oracle::Mods oracle_mods(const Sample& s) {
  const std::string& name = s.c.mods;
  oracle::Mods mods;
  const auto causal = [](int, int, int q, int k) { return k <= q; };
  if (name == "sliding_window") {
    mods.mask = [&s](int, int, int q, int k) { return k <= q && q - k <= s.int_buffers[0][0]; };
  } else if (name == "head_windows") {
    mods.mask = [&s](int, int h, int q, int k) { return k <= q && q - k <= s.int_buffers[0][h]; };
  } else if (name == "document") {
    mods.mask = [&s](int b, int, int q, int k) {
      const int* ids = &s.int_buffers[0][static_cast<std::size_t>(b) * s.c.q_lengths[0]];
      return k <= q && ids[q] == ids[k];
    };
  } else if (name == "prefix_lm") {
    mods.mask = [&s](int b, int, int q, int k) { return k <= q || k < s.int_buffers[0][b]; };
  } else if (name != "none" && name != "full_bias") {
    mods.mask = causal;
  }
  if (contains(name, "softcap")) {
    mods.score = [](double x, int, int, int, int) {
      const double t = std::tanh(x / kCap);
      return oracle::Score{kCap * t, 1.0 - t * t, {}};
    };
  } else if (contains(name, "alibi")) {
    mods.score = [&s](double x, int, int h, int q, int k) {
      return oracle::Score{x + double{s.float_buffers[0][h]} * (k - q), 1.0, {{0, h, double(k - q)}}};
    };
  } else if (name == "relative_bias") {
    mods.score = [&s](double x, int, int h, int q, int k) {
      const std::int64_t at = h * (kReach + 1) + std::clamp(q - k, 0, kReach);
      return oracle::Score{x + s.float_buffers[0][at], 1.0, {{0, at, 1.0}}};
    };
  } else if (name == "full_bias") {
    mods.score = [&s](double x, int, int h, int q, int k) {
      const std::int64_t at = (std::int64_t{h} * s.c.q_lengths[0] + q) * s.c.k_lengths[0] + k;
      return oracle::Score{x + s.float_buffers[0][at], 1.0, {{0, at, 1.0}}};
    };
  }
  return mods;
}

std::vector<double> unpadded(const Sample& s, const std::vector<std::uint16_t>& bits, int heads, int rows) {
  std::vector<double> values;
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < heads * s.c.head_size; ++i)
      values.push_back(from_bits(bits[static_cast<std::size_t>(row) * s.token_stride(heads) + i], s.c.type));
  return values;
}

/// lse and d_lse lie by heads; the oracle's by rows.
std::vector<double> by_rows(const Sample& s, const std::vector<float>& values) {
  std::vector<double> result;
  for (int b = 0; b < s.shape.batch(); ++b)
    for (int i = 0; i < s.c.q_lengths[b]; ++i)
      for (int h = 0; h < s.c.q_heads; ++h)
        result.push_back(
            s.c.packed ? values[static_cast<std::size_t>(h) * s.q_rows() + s.shape.q_starts[b] + i]
                       : values[(static_cast<std::size_t>(b) * s.c.q_heads + h) * s.c.q_lengths[0] + i]);
  return result;
}

struct Errors {
  double root_mean_square = 0.0, most = 0.0;
};
Errors errors_of(const std::vector<double>& found, const std::vector<double>& truth) {
  Errors e;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double error = found[i] == truth[i] ? 0.0 : std::fabs(found[i] - truth[i]);  // infinities are equal
    e.root_mean_square += error * error, e.most = std::fmax(e.most, error);
  }
  if (!truth.empty())
    e.root_mean_square = std::sqrt(e.root_mean_square / static_cast<double>(truth.size()));
  return e;
}

/// At most 1.5 times the plain layer's error as a whole, at most 2 times its largest in any element, each
/// plus a floor for results that the plain layer happens to hit: `unit` of the largest truth.
void expect_close(const char* what, const std::vector<double>& found, const std::vector<double>& truth,
                  const std::vector<double>& plain, double unit) {
  ASSERT_EQ(found.size(), truth.size()) << what;
  double scale = 0.01;  // inputs are around 1; gradients that cancel leave f32's dust
  for (const double x : truth)
    if (std::isfinite(x))
      scale = std::fmax(scale, std::fabs(x));
  const Errors base = errors_of(plain, truth);
  const double limit = 2.0 * base.most + unit * scale;
  std::size_t bad = 0, first = 0;
  double squares = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const bool same = found[i] == truth[i];  // infinities
    if (!same && !(std::fabs(found[i] - truth[i]) <= limit) && bad++ == 0)
      first = i;
    squares += same ? 0.0 : (found[i] - truth[i]) * (found[i] - truth[i]);
  }
  EXPECT_EQ(bad, 0u) << what << ": first at " << first << " of " << truth.size() << ", expected "
                     << truth[first] << " (plain " << plain[first] << "), found " << found[first]
                     << ", limit " << limit;
  const double root = truth.empty() ? 0.0 : std::sqrt(squares / static_cast<double>(truth.size()));
  EXPECT_LE(root, 1.5 * base.root_mean_square + 0.5 * unit * scale)
      << what << ": plain has " << base.root_mean_square;
}

void expect_padding_untouched(const char* what, const Sample& s, const std::vector<std::uint16_t>& bits,
                              int heads, int used_rows) {
  const int stride = s.token_stride(heads);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const bool inside =
        static_cast<int>(i / stride) < used_rows && static_cast<int>(i % stride) < stride - kPadding;
    ASSERT_TRUE(inside || bits[i] == 0x7fff) << what << ": written outside at element " << i;
  }
}

/// o = 0 and d_q = 0, exactly: a tolerance would let dust pass.
void expect_nothing_from_queries_without_keys(const Sample& s, const oracle::Output& truth) {
  const auto o = unpadded(s, s.o, s.c.q_heads, s.shape.q_starts.back()),
             d_q = unpadded(s, s.d_q, s.c.q_heads, s.shape.q_starts.back());
  for (std::size_t i = 0; i < o.size(); ++i) {
    if (truth.lse[i / s.c.head_size] == -INFINITY) {
      ASSERT_TRUE(o[i] == 0.0 && d_q[i] == 0.0) << "element " << i << " of a query that sees no key";
    }
  }
}

}  // namespace

void expect_right(const Case& c, const Runner& run) {
  SCOPED_TRACE(c.name());
  Sample s(c);
  run(s);
  const int q_rows = s.shape.q_starts.back(), k_rows = s.shape.k_starts.back();
  const auto q = unpadded(s, s.q, c.q_heads, q_rows), k = unpadded(s, s.k, c.kv_heads, k_rows),
             v = unpadded(s, s.v, c.kv_heads, k_rows), d_o = unpadded(s, s.d_o, c.q_heads, q_rows);
  const std::vector<double> d_lse = s.d_lse.empty() ? std::vector<double>{} : by_rows(s, s.d_lse);
  const oracle::Rounding round = [&](double x) {
    return std::isfinite(x) ? from_bits(to_bits(x, c.type), c.type) : x;
  };
  const oracle::Mods mods = oracle_mods(s);
  const std::vector<std::int64_t> sizes = {static_cast<std::int64_t>(s.float_buffers[0].size())};
  const oracle::Output truth = oracle::forward(s.shape, mods, q, k, v);
  const oracle::Output plain = oracle::forward(s.shape, mods, q, k, v, round);
  const oracle::Gradients gradients = oracle::backward(s.shape, mods, q, k, v, d_o, d_lse, sizes);
  const oracle::Gradients plain_gradients =
      oracle::backward(s.shape, mods, q, k, v, d_o, d_lse, sizes, round);

  const double unit = c.type == ElementType::kFloat16 ? 0x1p-11 : 0x1p-8;
  expect_close("o", unpadded(s, s.o, c.q_heads, q_rows), truth.o, plain.o, unit);
  // The plain layer rounds scores before it sums; lse is kept in f32 here, so it must do far better.
  expect_close("lse", by_rows(s, s.lse), truth.lse, truth.lse, c.mods == "causal_softcap" ? 2e-3 : 1e-5);
  expect_close("d_q", unpadded(s, s.d_q, c.q_heads, q_rows), gradients.q, plain_gradients.q, unit);
  expect_close("d_k", unpadded(s, s.d_k, c.kv_heads, k_rows), gradients.k, plain_gradients.k, unit);
  expect_close("d_v", unpadded(s, s.d_v, c.kv_heads, k_rows), gradients.v, plain_gradients.v, unit);
  expect_nothing_from_queries_without_keys(s, truth);
  if (!s.learnable_gradient.empty())
    expect_close("learnable", {s.learnable_gradient.begin(), s.learnable_gradient.end()},
                 gradients.parameters[0], plain_gradients.parameters[0], unit);
  for (const auto* results : {&s.o, &s.d_q})
    expect_padding_untouched("queries", s, *results, c.q_heads, q_rows);
  for (const auto* results : {&s.d_k, &s.d_v})
    expect_padding_untouched("keys", s, *results, c.kv_heads, k_rows);
}

}  // namespace assay::kernels::attention::cases
