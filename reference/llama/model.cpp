// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/model.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

#include <cmath>
#include <limits>

#include "reference/llama/rope.hpp"

namespace assay::reference::llama {
namespace {

using at::Tensor;

/// [B, T, heads · D] → [B, heads, T, D]
Tensor split_heads(const Tensor& x, std::int64_t head_dim) {
  return x.view({x.size(0), x.size(1), -1, head_dim}).transpose(1, 2);
}

/// Each key and value head serves `times` query heads that follow each other.
Tensor repeat_heads(const Tensor& x, std::int64_t times) {
  return times == 1 ? x : x.repeat_interleave(times, 1);
}

Tensor attention(const Layer& layer, const Tensor& x, const Rotation& positions, const LlamaConfig& config) {
  const std::int64_t length = x.size(1), group = config.num_heads / config.num_kv_heads;
  const Tensor q = rotate(split_heads(layer.q(x), config.head_dim), positions);
  const Tensor k = repeat_heads(rotate(split_heads(layer.k(x), config.head_dim), positions), group);
  const Tensor v = repeat_heads(split_heads(layer.v(x), config.head_dim), group);

  const Tensor future = at::full({length, length}, true, x.options().dtype(at::kBool)).triu(1);
  const Tensor scores =
      at::matmul(q, k.transpose(2, 3)) * (1.0 / std::sqrt(static_cast<double>(config.head_dim)));
  const Tensor masked = scores.masked_fill(future, -std::numeric_limits<double>::infinity());
  const Tensor weights = masked.softmax(-1, at::kFloat).to(x.scalar_type());
  return layer.o(at::matmul(weights, v).transpose(1, 2).reshape({x.size(0), length, -1}));
}

Tensor swiglu(const Layer& layer, const Tensor& x) {
  const Tensor gate = at::silu(layer.gate(x));
  return layer.down(gate * layer.up(x));
}

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  const Tensor wide = x.to(at::kFloat);
  const Tensor unit = wide * at::rsqrt(wide.pow(2).mean(-1, /*keepdim=*/true) + eps);
  return weight * unit.to(x.scalar_type());
}

Tensor Llama::hidden_states(const Tensor& tokens) const {
  TORCH_CHECK_VALUE(tokens.dim() == 2 && tokens.scalar_type() == at::kLong,
                    "expected int64 tokens [batch, length], found ", tokens.scalar_type(), " ",
                    tokens.sizes());
  Tensor x = at::embedding(embedding, tokens);
  const Rotation positions = rotation(config, tokens.size(1), x.device(), x.scalar_type());
  for (const Layer& layer : layers) {
    x = x + attention(layer, rms_norm(x, layer.input_norm, config.rms_norm_eps), positions, config);
    x = x + swiglu(layer, rms_norm(x, layer.post_attention_norm, config.rms_norm_eps));
  }
  return rms_norm(x, norm, config.rms_norm_eps);
}

Tensor Llama::logits(const Tensor& tokens) const {
  return head(hidden_states(tokens));
}

Tensor causal_loss(const Tensor& logits, const Tensor& labels) {
  constexpr std::int64_t kIgnored = -100;
  const Tensor next = at::constant_pad_nd(labels, {0, 1}, kIgnored).slice(1, 1);
  return at::cross_entropy_loss(logits.to(at::kFloat).flatten(0, 1), next.flatten(), {}, at::Reduction::Mean,
                                kIgnored);
}

void for_each_linear(Llama& model, const std::function<void(const std::string&, Linear&)>& visit) {
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    Layer& layer = model.layers[i];
    visit(prefix + "self_attn.q_proj", layer.q);
    visit(prefix + "self_attn.k_proj", layer.k);
    visit(prefix + "self_attn.v_proj", layer.v);
    visit(prefix + "self_attn.o_proj", layer.o);
    visit(prefix + "mlp.gate_proj", layer.gate);
    visit(prefix + "mlp.up_proj", layer.up);
    visit(prefix + "mlp.down_proj", layer.down);
  }
  visit("lm_head", model.head);
}

std::vector<NamedTensor> base_parameters(const Llama& model) {
  std::vector<NamedTensor> parameters{{"model.embed_tokens.weight", model.embedding},
                                      {"model.norm.weight", model.norm}};
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    parameters.push_back({prefix + "input_layernorm.weight", model.layers[i].input_norm});
    parameters.push_back({prefix + "post_attention_layernorm.weight", model.layers[i].post_attention_norm});
  }
  Llama shared = model;
  for_each_linear(shared, [&](const std::string& name, const Linear& linear) {
    const bool tied = name == "lm_head" && model.config.tie_word_embeddings;
    if (linear.weight.defined() && !tied)
      parameters.push_back({name + ".weight", linear.weight});
    if (linear.bias.defined())
      parameters.push_back({name + ".bias", linear.bias});
  });
  return parameters;
}

}  // namespace assay::reference::llama
