// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/assemble.hpp"

namespace assay::reference::llama {
namespace {

Layer assemble_layer(const LlamaConfig& config, const std::string& prefix, const WeightSource& source) {
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const std::int64_t q_rows = config.num_heads * config.head_dim,
                     kv_rows = config.num_kv_heads * config.head_dim;
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  Layer layer;
  layer.input_norm = source.norm(prefix + "input_layernorm.weight", hidden);
  layer.q = source.linear(attention + "q_proj", q_rows, hidden, config.attention_bias);
  layer.k = source.linear(attention + "k_proj", kv_rows, hidden, config.attention_bias);
  layer.v = source.linear(attention + "v_proj", kv_rows, hidden, config.attention_bias);
  layer.o = source.linear(attention + "o_proj", hidden, q_rows, config.attention_bias);
  layer.post_attention_norm = source.norm(prefix + "post_attention_layernorm.weight", hidden);
  layer.gate = source.linear(mlp + "gate_proj", inner, hidden, config.mlp_bias);
  layer.up = source.linear(mlp + "up_proj", inner, hidden, config.mlp_bias);
  layer.down = source.linear(mlp + "down_proj", hidden, inner, config.mlp_bias);
  return layer;
}

}  // namespace

Llama assemble(const LlamaConfig& config, const WeightSource& source) {
  Llama model{.config = config, .embedding = {}, .layers = {}, .norm = {}, .head = {}};
  model.embedding = source.embedding("model.embed_tokens.weight", config.vocab_size, config.hidden_size);
  for (std::int64_t i = 0; i < config.num_layers; ++i)
    model.layers.push_back(assemble_layer(config, "model.layers." + std::to_string(i) + ".", source));
  model.norm = source.norm("model.norm.weight", config.hidden_size);
  if (config.tie_word_embeddings)
    model.head.weight = model.embedding;
  else
    model.head = source.linear("lm_head", config.vocab_size, config.hidden_size, /*bias=*/false);
  return model;
}

}  // namespace assay::reference::llama
