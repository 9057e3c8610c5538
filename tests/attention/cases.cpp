// SPDX-License-Identifier: Apache-2.0
#include "tests/attention/cases.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <sstream>

namespace assay::kernels::attention::cases {
namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

std::vector<int> starts_of(const std::vector<int>& lengths) {
  std::vector<int> starts = {0};
  for (const int length : lengths) starts.push_back(starts.back() + length);
  return starts;
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
  if (name == "head_windows")
    for (int h = 0; h < s.c.q_heads; ++h) s.int_buffers[0].push_back(9 + 60 * h);
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
  text << (d_lse ? "_dlse" : "") << (scale_factor < 0 ? "_negative" : scale_factor == 0 ? "_unscaled" : "");
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
           double{static_cast<float>(c.scale_factor / std::sqrt(c.head_size))}};
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

std::vector<Case> all_cases(int most) {
  const auto kHalf = ElementType::kFloat16;
  const auto kBrain = ElementType::kBfloat16;
  const std::vector<Case> table = {
      {"none", {1}, {1}},
      {"none", {128}, {128}},
      {"none", {129, 129}, {65, 65}, false, 2, 1, 128, kHalf},
      {"none", {40, 129}, {0, 300}, true, 2, 1, 64},
      {"causal", {1}, {1}, false, 1, 1, 128},
      {"causal", {63}, {63}, false, 1, 1, 32},
      {"causal", {140, 140}, {140, 140}, false, 2, 1, 128, kBrain, true},
      {"causal", {257}, {257}, false, 1, 1, 64, kHalf},
      {"causal", {130}, {300}, false, 1, 1, 96},
      {"causal", {140}, {140}, false, 1, 1, 64, kBrain, false, 0, -2.0},
      {"causal", {140}, {140}, false, 1, 1, 64, kBrain, false, 0, 0.0},
      {"causal", {1, 17, 128, 200, 0, 90}, {1, 17, 128, 200, 0, 90}, true, 2, 1, 64, kBrain, true, 5},
      {"causal", {70, 150}, {200, 30}, true, 4, 1, 64},  // keys without queries
      {"causal", {70, 150}, {200, 30}, true, 2, 1, 128, kHalf},
      {"causal_softcap", {140}, {140}, false, 2, 1, 128, kHalf},
      {"causal_softcap_exact", {190}, {190}, false, 1, 1, 64},
      {"softcap_with_derivative", {150}, {150}, false, 1, 1, 64},
      {"causal_alibi", {140}, {140}, false, 4, 2, 64},
      {"causal_alibi", {30, 140}, {30, 140}, true, 2, 2, 128, kHalf},
      {"sliding_window", {270}, {270}, false, 1, 1, 64},
      {"sliding_window", {150}, {30}, false, 2, 1, 64, kBrain, true},  // queries without keys
      {"sliding_window", {150, 10}, {30, 10}, true, 2, 1, 128, kHalf, true},
      {"head_windows", {140}, {140}, false, 4, 2, 64},
      {"head_windows", {140, 20}, {140, 20}, true, 2, 1, 128, kHalf},
      {"document", {170, 170}, {170, 170}, false, 2, 1, 64},
      {"prefix_lm", {140, 140}, {140, 140}, false, 1, 1, 128, kHalf},
      {"relative_bias", {90, 90}, {90, 90}, false, 4, 2, 64},
      {"relative_bias", {140, 33}, {140, 33}, true, 2, 1, 128, kHalf},
      {"full_bias", {70, 70}, {140, 140}, false, 2, 1, 64},
      {"learnable_alibi", {140}, {140}, false, 4, 1, 64, kBrain, true},
      {"causal", {2048}, {2048}, false, 2, 1, 128},
      {"causal", {1000, 1, 730}, {1000, 1, 730}, true, 8, 2, 128},
      {"causal_softcap", {600}, {600}, false, 4, 1, 128},
      {"causal_alibi", {520, 520}, {520, 520}, false, 4, 2, 128},
      {"sliding_window", {520}, {520}, false, 2, 1, 128},
      {"head_windows", {520, 520}, {520, 520}, false, 8, 2, 128},
      {"document", {900, 900}, {900, 900}, false, 2, 1, 128},
      {"prefix_lm", {520, 520}, {520, 520}, false, 2, 1, 128},
      {"relative_bias", {700}, {700}, false, 4, 2, 128},
  };
  std::vector<Case> fitting;
  std::copy_if(table.begin(), table.end(), std::back_inserter(fitting), [&](const Case& c) {
    return *std::max_element(c.q_lengths.begin(), c.q_lengths.end()) <= most;
  });
  return fitting;
}

}  // namespace assay::kernels::attention::cases
