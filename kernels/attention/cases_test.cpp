// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/cases_test.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <sstream>

#include "kernels/attention/emulated/rounding.hpp"

namespace assay::kernels::attention::cases {
namespace {

namespace oracle = reference::attention;

constexpr float kCap = 3.0f;
constexpr int kReach = 20;

std::uint16_t to_bits(double x, ElementType type) {
  const float f = static_cast<float>(x);
  return type == ElementType::kFloat16 ? emulated::to_half(f) : emulated::to_bfloat16(f);
}
double from_bits(std::uint16_t bits, ElementType type) {
  return type == ElementType::kFloat16 ? emulated::from_half(bits) : emulated::from_bfloat16(bits);
}

std::vector<int> starts_of(const std::vector<int>& lengths) {
  std::vector<int> starts = {0};
  for (const int length : lengths) starts.push_back(starts.back() + length);
  return starts;
}

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

std::vector<float> random_floats(std::size_t size, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& x : values) x = normal(random);
  return values;
}

void fill_buffers(Sample& s, std::mt19937_64& random) {
  const std::string& name = s.c.mods;
  s.float_buffers.resize(1), s.int_buffers.resize(1);
  if (contains(name, "softcap"))
    s.float_buffers[0] = {kCap};
  if (contains(name, "alibi"))
    for (int h = 0; h < s.c.q_heads; ++h)
      s.float_buffers[0].push_back(std::exp2(-1.0f - static_cast<float>(h)));
  if (name == "sliding_window")
    s.int_buffers[0] = {37};
  if (name == "document")
    for (std::size_t b = 0; b < s.c.q_lengths.size(); ++b)
      for (int i = 0; i < s.c.q_lengths[0]; ++i)
        s.int_buffers[0].push_back(i / (50 + 30 * static_cast<int>(b)));
  if (name == "prefix_lm")
    for (const int length : s.c.k_lengths) s.int_buffers[0].push_back(length / 3);
  if (name == "relative_bias") {
    s.integer0 = kReach;
    s.float_buffers[0] = random_floats(static_cast<std::size_t>(s.c.q_heads) * (kReach + 1), random);
  }
  if (name == "full_bias")
    s.float_buffers[0] =
        random_floats(static_cast<std::size_t>(s.c.q_heads) * s.c.q_lengths[0] * s.c.k_lengths[0], random);
  if (contains(name, "bias") || contains(name, "learnable"))
    s.learnable_gradient.assign(s.float_buffers[0].size(), NAN);
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

}  // namespace

std::string Case::name() const {
  std::ostringstream text;
  text << mods << (type == ElementType::kFloat16 ? "_f16_d" : "_bf16_d") << head_size << "_h" << q_heads
       << "kv" << kv_heads << (packed ? "_packed" : "");
  for (std::size_t b = 0; b < q_lengths.size(); ++b) {
    text << "_" << q_lengths[b];
    if (k_lengths[b] != q_lengths[b])
      text << "x" << k_lengths[b];
  }
  text << (d_lse ? "_dlse" : "");
  return text.str();
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name();
}

Sample::Sample(const Case& the_case) : c(the_case) {
  shape = {starts_of(c.q_lengths),
           starts_of(c.k_lengths),
           c.q_heads,
           c.kv_heads,
           c.head_size,
           double{static_cast<float>(1.0 / std::sqrt(c.head_size))}};
  std::mt19937_64 random(std::hash<std::string>{}(c.name()));
  const auto inputs = [&](int rows, int heads) {
    std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows) * token_stride(heads), 0x7fff);
    const int used = rows - c.unused_rows;
    for (int row = 0; row < used; ++row)
      for (int i = 0; i < heads * c.head_size; ++i)
        bits[static_cast<std::size_t>(row) * token_stride(heads) + i] =
            to_bits(std::normal_distribution<double>()(random), c.type);
    return bits;
  };
  const auto results = [&](int rows, int heads) {
    return std::vector<std::uint16_t>(static_cast<std::size_t>(rows) * token_stride(heads), 0x7fff);
  };
  q = inputs(q_rows(), c.q_heads), k = inputs(k_rows(), c.kv_heads), v = inputs(k_rows(), c.kv_heads);
  d_o = inputs(q_rows(), c.q_heads);
  o = d_q = results(q_rows(), c.q_heads);
  d_k = d_v = results(k_rows(), c.kv_heads);
  lse.assign(static_cast<std::size_t>(q_rows()) * c.q_heads, NAN);
  if (c.d_lse)
    d_lse = random_floats(lse.size(), random);
  if (c.packed)
    q_starts = shape.q_starts, k_starts = shape.k_starts;
  fill_buffers(*this, random);
}

Sequences Sample::sequences(const Place& place) const {
  Sequences s;
  s.sequences = shape.batch(), s.q_heads = c.q_heads, s.kv_heads = c.kv_heads;
  s.q_length = *std::max_element(c.q_lengths.begin(), c.q_lengths.end());
  s.k_length = *std::max_element(c.k_lengths.begin(), c.k_lengths.end());
  if (c.packed) {
    s.q_starts = static_cast<const int*>(place(q_starts.data()));
    s.k_starts = static_cast<const int*>(place(k_starts.data()));
    s.q_rows = q_rows(), s.k_rows = k_rows();
  }
  s.scale = static_cast<float>(shape.scale);
  if (!float_buffers[0].empty())
    s.buffers.data[0] = place(float_buffers[0].data());
  if (!int_buffers[0].empty())
    s.buffers.data[0] = place(int_buffers[0].data());
  s.buffers.integers[0] = integer0;
  return s;
}

View Sample::view(const std::vector<std::uint16_t>& values, int heads, const Place& place) const {
  const bool queries = values.size() == q.size() && heads == c.q_heads;
  const long long length = queries ? c.q_lengths[0] : c.k_lengths[0];
  return {place(values.data()), c.packed ? 0 : length * token_stride(heads), token_stride(heads),
          c.head_size};
}

ForwardArgs Sample::forward_args(const Place& place) const {
  ForwardArgs args;
  args.sequences = sequences(place);
  args.q = view(q, c.q_heads, place), args.o = view(o, c.q_heads, place);
  args.k = view(k, c.kv_heads, place), args.v = view(v, c.kv_heads, place);
  args.lse = static_cast<float*>(place(lse.data()));
  return args;
}

BackwardArgs Sample::backward_args(const Place& place) const {
  const ForwardArgs forward = forward_args(place);
  BackwardArgs args;
  args.sequences = forward.sequences;
  args.q = forward.q, args.k = forward.k, args.v = forward.v, args.o = forward.o, args.lse = forward.lse;
  args.d_o = view(d_o, c.q_heads, place), args.d_q = view(d_q, c.q_heads, place);
  args.d_k = view(d_k, c.kv_heads, place), args.d_v = view(d_v, c.kv_heads, place);
  args.d_lse = d_lse.empty() ? nullptr : static_cast<const float*>(place(d_lse.data()));
  if (!learnable_gradient.empty()) {
    args.learnable_gradients[0] = static_cast<float*>(place(learnable_gradient.data()));
    args.learnable_sizes[0] = static_cast<std::int64_t>(learnable_gradient.size());
  }
  return args;
}

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
  if (!s.learnable_gradient.empty())
    expect_close("learnable", {s.learnable_gradient.begin(), s.learnable_gradient.end()},
                 gradients.parameters[0], plain_gradients.parameters[0], unit);
  for (const auto* results : {&s.o, &s.d_q})
    expect_padding_untouched("queries", s, *results, c.q_heads, q_rows);
  for (const auto* results : {&s.d_k, &s.d_v})
    expect_padding_untouched("keys", s, *results, c.kv_heads, k_rows);
}

std::vector<Case> all_cases(int most) {
  const auto kHalf = ElementType::kFloat16;
  const std::vector<Case> table = {
      {"none", {1}, {1}},
      {"none", {128}, {128}},
      {"none", {129, 129}, {65, 65}, false, 4, 2, 128, kHalf},
      {"causal", {1}, {1}, false, 1, 1, 128},
      {"causal", {63}, {63}, false, 1, 1, 32},
      {"causal", {200, 200}, {200, 200}, false, 4, 2, 128, ElementType::kBfloat16, true},
      {"causal", {257}, {257}, false, 2, 2, 64, kHalf},
      {"causal", {130}, {300}, false, 2, 1, 96},
      {"causal",
       {1, 17, 128, 200, 0, 90},
       {1, 17, 128, 200, 0, 90},
       true,
       2,
       1,
       64,
       ElementType::kBfloat16,
       true,
       5},
      {"causal", {70, 150}, {200, 30}, true, 4, 1, 128, kHalf},
      {"none", {40, 129}, {0, 300}, true, 2, 1, 64},
      {"causal_softcap", {190}, {190}, false, 2, 1, 128},
      {"causal_softcap_exact", {190}, {190}, false, 2, 1, 64, kHalf},
      {"softcap_with_derivative", {150}, {150}, false, 2, 1, 64},
      {"causal_alibi", {300}, {300}, false, 4, 2, 64},
      {"causal_alibi", {90, 200}, {90, 200}, true, 2, 2, 128, kHalf},
      {"sliding_window", {300}, {300}, false, 2, 1, 128},
      {"sliding_window", {520}, {520}, false, 1, 1, 64, kHalf},
      {"document", {300, 300}, {300, 300}, false, 2, 1, 64},
      {"prefix_lm", {260, 260}, {260, 260}, false, 2, 2, 128},
      {"relative_bias", {200, 200}, {200, 200}, false, 4, 2, 64},
      {"relative_bias", {140, 33}, {140, 33}, true, 2, 1, 128, kHalf},
      {"full_bias", {150, 150}, {140, 140}, false, 2, 1, 64},
      {"learnable_alibi", {220}, {220}, false, 4, 1, 64, ElementType::kBfloat16, true},
      {"causal", {2048}, {2048}, false, 2, 1, 128},
      {"causal", {1000, 1, 730}, {1000, 1, 730}, true, 8, 2, 128},
  };
  std::vector<Case> fitting;
  std::copy_if(table.begin(), table.end(), std::back_inserter(fitting), [&](const Case& c) {
    return *std::max_element(c.q_lengths.begin(), c.q_lengths.end()) <= most;
  });
  return fitting;
}

}  // namespace assay::kernels::attention::cases
