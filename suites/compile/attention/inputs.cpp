// SPDX-License-Identifier: Apache-2.0
// Random inputs of an attention case, what its mods read, and what a forward pass leaves for backward.
#include <cmath>
#include <string_view>

#include "suites/compile/attention/case_tensors.hpp"
#include "suites/compile/common/elements.hpp"
#include "suites/compile/common/random.hpp"

namespace assay::suites::compile {
namespace {

using harness::TensorSet;
using harness::TensorView;

/// Scores of N(0, 1); high ones by a first feature that all keys share.
void fill_matrix(const AttentionCase& c, const TensorView& view, std::uint64_t seed) {
  const std::uint64_t stream = stream_of(view.name, seed);
  const double key = 4.0, query = kHighScore / c.scale() / key;
  const bool shared = c.high && (view.name == "q" || view.name == "k");
  fill(view, [=, d = c.head_dim, is_query = view.name == "q"](std::int64_t i) {
    if (shared && i % d == 0)
      return is_query ? query : key;
    return normal_at(stream, static_cast<std::uint64_t>(i));
  });
}

void fill_documents(const AttentionCase& c, const TensorView& view) {
  auto* id = view.as<std::int32_t>();
  std::int32_t next = 0;
  for (std::int64_t sequence = 0; sequence < c.tokens / c.length; ++sequence) {
    for (const std::int64_t length : document_lengths_of(c)) {
      for (std::int64_t i = 0; i < length; ++i) *id++ = next;
      ++next;
    }
  }
}

void fill_starts(const AttentionCase& c, const TensorView& view) {
  auto* start = view.as<std::int32_t>();
  *start = 0;
  for (const std::int64_t length : lengths_of(c)) {
    start[1] = *start + static_cast<std::int32_t>(length);
    ++start;
  }
}

/// 2^(−8 (h + 1) / heads), as ALiBi (Press, Smith, Lewis 2021) has it.
double slope(const AttentionCase& c, std::int64_t head) {
  return std::exp2(-8.0 * static_cast<double>(head + 1) / static_cast<double>(c.heads));
}

/// o and lse of the case's forward pass, rounded to their types.
void fill_results(AttentionCase c, const TensorSet& set) {
  c.backward = false;
  const Tensors forward = attention_truth(c, tensors_of(set));
  for (const char* name : {"o", "lse"}) as_tensor(set.at(name)).copy_(forward[name]);
}

}  // namespace

harness::TensorSet make_attention_inputs(const harness::Case& which, std::uint64_t seed) {
  const AttentionCase& c = attention_parameters_of(which);
  TensorSet set(harness::DeviceKind::kCpu);
  for (const harness::TensorSpec& spec : attention_inputs_of(c)) set.add(spec);
  for (const TensorView& view : set.views()) {
    const std::string_view name = view.name;
    if (name == "q" || name == "k" || name == "v" || name == "d_o")
      fill_matrix(c, view, seed);
    else if (name == "softcap")
      *view.as<float>() = static_cast<float>(c.softcap());
    else if (name == "slopes")
      fill(view, [&](std::int64_t head) { return slope(c, head); });
    else if (name == "window")
      *view.as<std::int32_t>() = static_cast<std::int32_t>(c.window());
    else if (name == "documents")
      fill_documents(c, view);
    else if (name == "prefixes")
      for (std::int64_t b = 0; b < view.numel(); ++b)
        view.as<std::int32_t>()[b] = static_cast<std::int32_t>(c.prefix(b));
    else if (name == "starts")
      fill_starts(c, view);
  }
  if (c.backward)
    fill_results(c, set);
  return set;
}

}  // namespace assay::suites::compile
