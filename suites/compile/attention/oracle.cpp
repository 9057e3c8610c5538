// SPDX-License-Identifier: Apache-2.0
// The case's tensors as the scalar oracle takes them, and which oracle judges which case.
#include <algorithm>
#include <cmath>
#include <vector>

#include "harness/verify/lazy_oracle.hpp"
#include "reference/attention/attention.hpp"
#include "suites/compile/attention/case_tensors.hpp"
#include "suites/compile/attention/oracles.hpp"
#include "suites/compile/common/elements.hpp"

namespace assay::suites::compile {
namespace {

using harness::TensorSet;
using harness::TensorView;
namespace ref = reference::attention;
using Values = std::map<std::string, std::vector<double>, std::less<>>;

// Scalar loops do about 1e9 multiplications a second; above this tensor operations take over.
constexpr std::int64_t kScalarProducts = std::int64_t{1} << 26;

std::vector<double> values_of(const TensorView& view) {
  std::vector<double> values(static_cast<std::size_t>(view.numel()));
  for (std::int64_t i = 0; i < view.numel(); ++i) values[static_cast<std::size_t>(i)] = load(view, i);
  return values;
}

/// Sequences of one length, or where they start.
ref::Shape shape_of(const AttentionCase& c, const TensorSet& in) {
  std::vector<int> starts;
  if (c.packed) {
    const TensorView& given = in.at("starts");
    starts.assign(given.as<std::int32_t>(), given.as<std::int32_t>() + given.numel());
  } else {
    for (std::int64_t row = 0; row <= c.tokens; row += c.length) starts.push_back(static_cast<int>(row));
  }
  return {
      starts,   starts, static_cast<int>(c.heads), static_cast<int>(c.kv_heads), static_cast<int>(c.head_dim),
      c.scale()};
}

ref::Mods mods_of(const AttentionCase& c, const TensorSet& in) {
  const auto integers = [&in](const char* name) { return in.at(name).as<std::int32_t>(); };
  const auto floats = [&in](const char* name) { return in.at(name).as<float>(); };
  const auto causal = [](int, int, int i, int j) { return j <= i; };
  switch (c.mod) {
    case Mod::kNone:
      return {};
    case Mod::kCausal:
      return {.score = {}, .mask = causal};
    case Mod::kSoftcap:
      return {.score =
                  [cap = double{*floats("softcap")}](double x, int, int, int, int) {
                    const double t = std::tanh(x / cap);
                    return ref::Score{cap * t, 1.0 - t * t, {}};
                  },
              .mask = causal};
    case Mod::kAlibi:
      return {.score =
                  [slopes = floats("slopes")](double x, int, int h, int i, int j) {
                    return ref::Score{x + double{slopes[h]} * (j - i), 1.0, {}};
                  },
              .mask = causal};
    case Mod::kSlidingWindow:
      return {.score = {}, .mask = [window = *integers("window")](int, int, int i, int j) {
                return j <= i && i - j <= window;
              }};
    case Mod::kDocument:
      return {.score = {}, .mask = [ids = integers("documents"), s = c.length](int b, int, int i, int j) {
                return j <= i && ids[b * s + i] == ids[b * s + j];
              }};
    case Mod::kPrefixLm:
      return {.score = {}, .mask = [prefixes = integers("prefixes")](int b, int, int i, int j) {
                return j <= i || j < prefixes[b];
              }};
  }
  throw std::invalid_argument("compile: unknown mod");
}

/// The oracle's [N, h] as [B, h, S] or, packed, [h, N].
std::vector<double> by_heads(const AttentionCase& c, const std::vector<double>& by_rows) {
  const std::int64_t length = c.packed ? c.tokens : c.length;
  std::vector<double> lse;
  lse.reserve(by_rows.size());
  for (std::int64_t begin = 0; begin < c.tokens; begin += length)
    for (std::int64_t h = 0; h < c.heads; ++h)
      for (std::int64_t row = begin; row < begin + length; ++row)
        lse.push_back(by_rows[static_cast<std::size_t>(row * c.heads + h)]);
  return lse;
}

Values truth_of(const AttentionCase& c, const TensorSet& in) {
  const ref::Shape shape = shape_of(c, in);
  const ref::Mods mods = mods_of(c, in);
  const auto q = values_of(in.at("q")), k = values_of(in.at("k")), v = values_of(in.at("v"));
  Values values;
  if (!c.backward) {
    ref::Output out = ref::forward(shape, mods, q, k, v);
    values["o"] = std::move(out.o);
    values["lse"] = by_heads(c, out.lse);
    return values;
  }
  ref::Gradients g = ref::backward(shape, mods, q, k, v, values_of(in.at("d_o")), {}, {});
  values["dq"] = std::move(g.q), values["dk"] = std::move(g.k), values["dv"] = std::move(g.v);
  return values;
}

}  // namespace

harness::Oracle scalar_attention_oracle(const AttentionCase& c, const TensorSet& inputs) {
  return harness::lazy_oracle([c, &inputs] { return truth_of(c, inputs); },
                              [](const Values& values, std::string_view output) {
                                const auto found = values.find(output);
                                return found == values.end() ? nullptr : found->second.data();
                              });
}

harness::Oracle tensor_attention_oracle(const AttentionCase& c, const TensorSet& inputs) {
  return harness::lazy_oracle([c, &inputs] { return attention_truth(c, tensors_of(inputs)); },
                              [](const Tensors& values, std::string_view output) -> const double* {
                                const at::Tensor found = values[std::string(output)];
                                return found.defined() ? found.const_data_ptr<double>() : nullptr;
                              });
}

harness::Oracle attention_oracle_of(const harness::Case& which, const TensorSet& inputs) {
  const AttentionCase& c = attention_parameters_of(which);
  return c.tokens * c.length * c.features() <= kScalarProducts ? scalar_attention_oracle(c, inputs)
                                                               : tensor_attention_oracle(c, inputs);
}

}  // namespace assay::suites::compile
