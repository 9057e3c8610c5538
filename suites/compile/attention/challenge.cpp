// SPDX-License-Identifier: Apache-2.0
// The challenge as the harness sees it. Implementations register themselves, one file each.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "harness/core/registry.hpp"
#include "suites/compile/attention/checks.hpp"
#include "suites/compile/attention/suite.hpp"

namespace assay::suites::compile {
namespace {

using harness::Case;
using harness::Dtype;
using harness::TensorSpec;

/// k holds tile by tile (128 tokens of 128 features) and for the whole; per element three times that, as the
/// largest error of a tile is a matter of luck.
harness::ParityRule rule() {
  return {.exact = false, .k = 1.5, .floor_ulp = 0.25, .element_slack = 3.0, .floor_ulp_of = {{"lse", 2.0}}};
}

const harness::RegisterChallenge kThis([] {
  harness::Challenge challenge;
  challenge.suite = "compile";
  challenge.name = kAttentionChallenge;
  challenge.about = "attention with score and mask mods of the user's own, forward and backward";
  challenge.parity = rule();
  challenge.cases = attention_cases();
  challenge.make_inputs = make_attention_inputs;
  challenge.outputs = [](const Case& which) { return attention_outputs_of(attention_parameters_of(which)); };
  challenge.oracle = attention_oracle_of;
  challenge.work = attention_work_of;
  challenge.checks = attention_checks();
  return challenge;
});

/// Parts of `whole` by turns, the last one cut off.
std::vector<std::int64_t> cut(std::int64_t whole, const std::vector<std::int64_t>& parts) {
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; whole > 0; ++i) {
    lengths.push_back(std::min(whole, std::max<std::int64_t>(parts[i % parts.size()], 1)));
    whole -= lengths.back();
  }
  return lengths;
}

TensorSpec lse_of(const AttentionCase& c) {
  if (c.packed)
    return {"lse", Dtype::kFloat32, {c.heads, c.tokens}};
  return {"lse", Dtype::kFloat32, {c.tokens / c.length, c.heads, c.length}};
}

/// What the mods read.
std::vector<TensorSpec> buffers_of(const AttentionCase& c) {
  const std::int64_t sequences = c.tokens / c.length;
  switch (c.mod) {
    case Mod::kNone:
    case Mod::kCausal:
      return {};
    case Mod::kSoftcap:
      return {{"softcap", Dtype::kFloat32, {1}}};
    case Mod::kAlibi:
      return {{"slopes", Dtype::kFloat32, {c.heads}}};
    case Mod::kSlidingWindow:
      return {{"window", Dtype::kInt32, {1}}};
    case Mod::kDocument:
      return {{"documents", Dtype::kInt32, {sequences, c.length}}};
    case Mod::kPrefixLm:
      return {{"prefixes", Dtype::kInt32, {sequences}}};
  }
  throw std::invalid_argument("compile: unknown mod");
}

/// Of one sequence of n tokens.
std::int64_t visible_pairs(const AttentionCase& c, std::int64_t sequence, std::int64_t n) {
  const auto triangle = [](std::int64_t length) { return length * (length + 1) / 2; };
  std::int64_t pairs = 0;
  switch (c.mod) {
    case Mod::kNone:
      return n * n;
    case Mod::kSlidingWindow:
      for (std::int64_t i = 0; i < n; ++i) pairs += std::min(i, c.window()) + 1;
      return pairs;
    case Mod::kDocument:
      for (const std::int64_t length : document_lengths_of(c)) pairs += triangle(length);
      return pairs;
    case Mod::kPrefixLm:
      for (std::int64_t i = 0; i < n; ++i) pairs += std::max(i + 1, c.prefix(sequence));
      return pairs;
    default:
      return triangle(n);
  }
}

}  // namespace

std::string name_of(Mod mod) {
  constexpr const char* kNames[] = {"none", "causal", "softcap", "alibi", "window", "document", "prefix"};
  return kNames[static_cast<std::size_t>(mod)];
}

double AttentionCase::scale() const {
  return 1.0 / std::sqrt(static_cast<double>(head_dim));
}

const AttentionCase& attention_parameters_of(const Case& which) {
  return std::any_cast<const AttentionCase&>(which.parameters);
}

std::vector<std::int64_t> lengths_of(const AttentionCase& c) {
  const std::int64_t s = c.length;
  return c.packed ? cut(c.tokens, {s / 2 + 3, 1, s, s / 16 + 1, s / 4, s / 64 + 5}) : cut(c.tokens, {s});
}

std::vector<std::int64_t> document_lengths_of(const AttentionCase& c) {
  const std::int64_t mean = c.length >= 2048 ? 1024 : c.length / 3;
  return cut(c.length, {mean + mean / 2, mean / 4, mean, mean + mean / 4});
}

std::vector<TensorSpec> attention_inputs_of(const AttentionCase& c) {
  const std::vector<std::int64_t> of_queries = {c.tokens, c.features()},
                                  of_keys = {c.tokens, c.kv_features()};
  std::vector<TensorSpec> specs = {
      {"q", c.dtype, of_queries}, {"k", c.dtype, of_keys}, {"v", c.dtype, of_keys}};
  if (c.backward)
    specs.insert(specs.end(), {{"o", c.dtype, of_queries}, lse_of(c), {"d_o", c.dtype, of_queries}});
  for (const TensorSpec& buffer : buffers_of(c)) specs.push_back(buffer);
  if (c.packed)
    specs.push_back({"starts", Dtype::kInt32, {static_cast<std::int64_t>(lengths_of(c).size()) + 1}});
  return specs;
}

std::vector<TensorSpec> attention_outputs_of(const AttentionCase& c) {
  const std::vector<std::int64_t> of_queries = {c.tokens, c.features()},
                                  of_keys = {c.tokens, c.kv_features()};
  if (c.backward)
    return {{"dq", c.dtype, of_queries}, {"dk", c.dtype, of_keys}, {"dv", c.dtype, of_keys}};
  return {{"o", c.dtype, of_queries}, lse_of(c)};
}

std::int64_t visible_pairs(const AttentionCase& c) {
  std::int64_t pairs = 0, sequence = 0;
  for (const std::int64_t length : lengths_of(c)) pairs += visible_pairs(c, sequence++, length);
  return pairs;
}

harness::Work attention_work_of(const Case& which) {
  const AttentionCase& c = attention_parameters_of(which);
  harness::Work work;
  for (const auto& specs : {attention_inputs_of(c), attention_outputs_of(c)}) {
    for (const TensorSpec& spec : specs)
      work.bytes +=
          std::accumulate(spec.shape.begin(), spec.shape.end(),
                          static_cast<std::int64_t>(harness::size_of(spec.dtype)), std::multiplies<>());
  }
  work.flops = visible_pairs(c) * c.features() * (c.backward ? 10 : 4);
  work.ceiling = c.dtype == Dtype::kFloat16 ? "matmul_f16_tflops" : "matmul_bf16_tflops";
  return work;
}

}  // namespace assay::suites::compile
