// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/step_estimate.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace assay::kernels::compile {
namespace {

constexpr std::int64_t kElement = 2;  // bytes of a 16-bit number

/// Numbers of a token between the operations of a layer.
struct Widths {
  explicit Widths(const LlamaShape& s)
      : hidden(s.hidden), query(s.heads * s.head_dim), key(s.kv_heads * s.head_dim), inner(s.intermediate) {}
  std::int64_t hidden, query, key, inner;
};

std::int64_t attention_weights(const LlamaShape& s) {
  const Widths w(s);
  return w.hidden * (2 * w.query + 2 * w.key);
}
std::int64_t gate_up_weights(const LlamaShape& s) {
  return 2 * s.hidden * s.intermediate;
}
std::int64_t layer_weights(const LlamaShape& s) {
  return attention_weights(s) + gate_up_weights(s) + s.hidden * s.intermediate;
}

/// Parameters of the adapters of one layer: rank · (inputs + outputs) of each linear.
std::int64_t layer_adapters(const LlamaShape& s) {
  const Widths w(s);
  return s.lora_rank * (2 * (w.hidden + w.query) + 2 * (w.hidden + w.key) + 3 * (w.hidden + w.inner));
}

/// Half a byte a weight, a byte a block of 64, an f32 a group of 256 blocks; map and offset are small change.
std::int64_t packed_bytes(std::int64_t weights) {
  return weights / 2 + weights / 64 + weights / 64 / 256 * 4;
}

void check(const LlamaShape& s, const Tokens& t, std::int64_t logit_rows) {
  for (const std::int64_t size : {s.layers, s.hidden, s.intermediate, s.heads, s.kv_heads, s.head_dim,
                                  s.vocab, s.lora_rank, t.count, t.sequence, logit_rows}) {
    if (size < 1)
      throw std::invalid_argument("step estimate: expected sizes of at least 1, found " +
                                  std::to_string(size));
  }
  if (s.heads % s.kv_heads != 0)
    throw std::invalid_argument("step estimate: expected heads that share keys evenly, found " +
                                std::to_string(s.heads) + " and " + std::to_string(s.kv_heads));
}

/// Share of a layer's forward products that backward makes again.
double made_again(const LlamaShape& s, Keep keep) {
  switch (keep) {
    case Keep::kEverything:
    case Keep::kProducts:
      return 0.0;
    case Keep::kAttention:
      return static_cast<double>(gate_up_weights(s)) / static_cast<double>(layer_weights(s));
    case Keep::kInput:  // not the last product: its result, the layer's output, nobody reads again
      return 1.0 - static_cast<double>(s.hidden * s.intermediate) / static_cast<double>(layer_weights(s));
  }
  throw std::invalid_argument("step estimate: unknown policy");
}

/// Bytes that the pointwise operations of a layer's forward pass move for a token, norms fused with the
/// residual sum.
std::int64_t forward_pointwise(const Widths& w) {
  const std::int64_t norms =
      2 * (3 * w.hidden);  // read state and the branch's result, write both sums' one and the norm
  const std::int64_t rope = 2 * (w.query + w.key);
  const std::int64_t swiglu = 3 * w.inner;
  return kElement * (norms + 2 * w.hidden + rope + swiglu);
}
std::int64_t backward_pointwise(const Widths& w) {
  const std::int64_t norms =
      2 * (4 * w.hidden);  // read state, upstream and the residual's gradient, write one
  const std::int64_t rope = 2 * (w.query + w.key);
  const std::int64_t swiglu = 5 * w.inner;  // read gate, up, upstream, write both gradients
  return kElement * (norms + rope + swiglu);
}
/// Of norms and SwiGLU made again; with all of forward, rope too.
std::int64_t again_pointwise(const Widths& w, Keep keep) {
  if (keep == Keep::kEverything)
    return 0;
  if (keep == Keep::kInput)
    return forward_pointwise(w);
  return kElement * (2 * 2 * w.hidden + 3 * w.inner);
}

}  // namespace

std::int64_t kept_bytes(const LlamaShape& s, Keep keep) {
  const Widths w(s);
  const std::int64_t input = w.hidden, attention = w.query + 2 * w.key + w.query, middle = w.hidden;
  const std::int64_t norms = 2 * w.hidden, gate_up = 2 * w.inner, product = w.inner;
  const std::int64_t statistics = 4 * (2 + s.heads);  // f32: both norms' 1/rms, log-sum-exp of every head
  switch (keep) {
    case Keep::kEverything:
      return kElement * (input + attention + middle + norms + gate_up + product) + statistics;
    case Keep::kProducts:
      return kElement * (input + attention + middle + gate_up) + statistics;
    case Keep::kAttention:
      return kElement * (input + attention + middle) + statistics;
    case Keep::kInput:
      return kElement * input;
  }
  throw std::invalid_argument("step estimate: unknown policy");
}

StepEstimate estimate_step(const LlamaShape& s, const Tokens& t, Keep keep, std::int64_t logit_rows) {
  check(s, t, logit_rows);
  const Widths w(s);
  const std::int64_t head = s.vocab * s.hidden, weights = s.layers * layer_weights(s);
  const std::int64_t adapters = s.layers * layer_adapters(s);
  const double tokens = static_cast<double>(t.count), again = made_again(s, keep);
  StepEstimate e;
  e.base = packed_bytes(weights) + kElement * (head * (s.tied ? 1 : 2) + (2 * s.layers + 1) * s.hidden);
  e.adapters = adapters * (4 * 4 + kElement);
  e.kept = kept_bytes(s, keep) * s.layers * t.count;
  // Backward of one layer: what is made again, then gradients of gate and up beside both and their product,
  // and of the state.
  e.layer = (kept_bytes(s, Keep::kEverything) - kept_bytes(s, keep) +
             kElement * (3 * w.inner + 2 * w.hidden + w.query + 2 * w.key)) *
            t.count;
  e.decoded = 2 * kElement * std::max({w.hidden * w.inner, w.hidden * w.query, w.hidden * w.key});
  e.logits = kElement * logit_rows * s.vocab;
  const double layer_products = 2.0 * static_cast<double>(weights + adapters) * tokens;
  // Forward, gradients of inputs, what is made again; adapters also have gradients of their own, the head one
  // product more.
  e.product_flops = layer_products * (2.0 + again) + 2.0 * static_cast<double>(adapters) * tokens +
                    2.0 * 2.0 * static_cast<double>(head) * tokens;
  const double attention = 4.0 * static_cast<double>(t.sequence) / 2.0 * static_cast<double>(w.query) *
                           tokens * static_cast<double>(s.layers);
  e.attention_flops = attention * (3.5 + (keep == Keep::kInput ? 1.0 : 0.0));
  e.decoded_bytes = static_cast<double>(packed_bytes(weights) + kElement * weights) * (2.0 + again);
  e.pointwise_bytes =
      static_cast<double>(forward_pointwise(w) + backward_pointwise(w) + again_pointwise(w, keep)) * tokens *
          static_cast<double>(s.layers) +
      2.0 * kElement * static_cast<double>(s.vocab) * tokens;
  return e;
}

}  // namespace assay::kernels::compile
