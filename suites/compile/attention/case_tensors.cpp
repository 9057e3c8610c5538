// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/attention/case_tensors.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>

#include <algorithm>

#include "harness/device/device.hpp"

namespace assay::suites::compile {
namespace {

using at::Tensor;

constexpr std::int64_t kScoresOfTruth = std::int64_t{1} << 28;  // 2 GiB of f64

/// Which keys the queries of a sequence see; undefined: all.
Tensor visible_of(const AttentionCase& c, const Tensors& in, std::int64_t sequence, std::int64_t length) {
  if (c.mod == Mod::kNone)
    return {};
  const Tensor places = at::arange(length, at::TensorOptions().dtype(at::kInt).device(in["q"].device()));
  const Tensor query = places.unsqueeze(1), key = places.unsqueeze(0);
  const Tensor causal = key <= query;
  switch (c.mod) {
    case Mod::kSlidingWindow:
      return causal & (query - key <= in["window"]);
    case Mod::kDocument: {
      const Tensor ids = in["documents"][sequence];
      return causal & (ids.unsqueeze(1) == ids.unsqueeze(0));
    }
    case Mod::kPrefixLm:
      return causal | (key < in["prefixes"][sequence]);
    default:
      return causal;
  }
}

/// Where the case's f64 products are fast.
at::Device device_for(const AttentionCase& c) {
  constexpr std::int64_t kWorthTheWay = std::int64_t{1} << 30;
  const bool large = c.tokens * c.length * c.features() > kWorthTheWay;
  return large && harness::cuda_available() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
}

}  // namespace

std::vector<Part> parts_of(const AttentionCase& c, const Tensors& in, std::int64_t most_scores) {
  std::vector<Part> parts;
  const std::int64_t shared = c.heads / c.kv_heads;
  std::int64_t sequence = 0, begin = 0;
  for (const std::int64_t length : lengths_of(c)) {
    const std::int64_t at_once =
        std::clamp<std::int64_t>(most_scores / (length * length * shared), 1, c.kv_heads);
    const Tensor visible = visible_of(c, in, sequence, length);
    for (std::int64_t first = 0; first < c.kv_heads; first += at_once) {
      Part part{sequence, begin, length, first, std::min(at_once, c.kv_heads - first), {.scale = c.scale()}};
      part.scores.visible = visible;
      if (c.mod == Mod::kSoftcap)
        part.scores.softcap = c.softcap();
      if (c.mod == Mod::kAlibi)
        part.scores.slopes = in["slopes"].narrow(0, first * shared, part.kv_heads * shared);
      parts.push_back(part);
    }
    ++sequence, begin += length;
  }
  return parts;
}

Tensor heads_of(const AttentionCase& c, const Part& part, const Tensor& rows) {
  const std::int64_t each = rows.size(1) / c.head_dim / c.kv_heads;
  return rows.narrow(0, part.begin, part.length)
      .view({part.length, -1, c.head_dim})
      .narrow(1, part.first_kv_head * each, part.kv_heads * each)
      .transpose(0, 1);
}

Tensor lse_of(const AttentionCase& c, const Part& part, const Tensor& lse) {
  const std::int64_t each = c.heads / c.kv_heads;
  const Tensor of_sequence = c.packed ? lse.narrow(1, part.begin, part.length) : lse[part.sequence];
  return of_sequence.narrow(0, part.first_kv_head * each, part.kv_heads * each);
}

void attend(const AttentionCase& c, const std::vector<Part>& parts, const Tensors& in, const Tensors& out,
            const PartMath& math) {
  for (const Part& part : parts) {
    const auto heads = [&](const char* name) { return heads_of(c, part, in[name]).contiguous(); };
    if (c.backward) {
      const auto g = math.backward(heads("q"), heads("k"), heads("v"), heads("d_o"), part.scores);
      heads_of(c, part, out["dq"]).copy_(g.q);
      heads_of(c, part, out["dk"]).copy_(g.k);
      heads_of(c, part, out["dv"]).copy_(g.v);
    } else {
      const auto made = math.forward(heads("q"), heads("k"), heads("v"), part.scores);
      heads_of(c, part, out["o"]).copy_(made.o);
      lse_of(c, part, out["lse"]).copy_(made.lse);
    }
  }
}

void eager_attention_call(const AttentionCase& c, const Tensors& in, const Tensors& out) {
  attend(c, parts_of(c, in, kScoresAtOnce), in, out);
}

Tensors attention_truth(const AttentionCase& c, const Tensors& in) {
  const at::NoGradGuard no_gradient;
  const at::Device device = device_for(c);
  Tensors wide, out;
  for (const harness::TensorSpec& spec : attention_inputs_of(c)) {
    const Tensor moved = in[spec.name].to(device);
    wide.add(spec.name, harness::is_floating(spec.dtype) ? moved.to(at::kDouble) : moved);
  }
  for (const harness::TensorSpec& spec : attention_outputs_of(c))
    out.add(spec.name, at::empty(spec.shape, at::TensorOptions().dtype(at::kDouble)));
  attend(c, parts_of(c, wide, kScoresOfTruth), wide, out);
  if (device.is_cuda()) {
    wide = {};
    c10::cuda::CUDACachingAllocator::emptyCache();
  }
  return out;
}

}  // namespace assay::suites::compile
