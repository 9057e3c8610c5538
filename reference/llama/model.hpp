// SPDX-License-Identifier: Apache-2.0
// Llama, plainly: what transformers' LlamaForCausalLM computes with eager attention, in the order it computes
// it. Shapes: B batch, T tokens, H hidden, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "reference/llama/config.hpp"
#include "reference/llama/linear.hpp"

namespace assay::reference::llama {

struct Layer {
  at::Tensor input_norm, post_attention_norm;  ///< [H]
  Linear q, k, v, o;                           ///< self_attn
  Linear gate, up, down;                       ///< mlp
};

/// Weights and what they compute. Copies share their tensors. Nothing requires a gradient until its owner
/// says so.
struct Llama {
  LlamaConfig config;
  at::Tensor embedding;  ///< [V, H]
  std::vector<Layer> layers;
  at::Tensor norm;  ///< [H]
  Linear head;      ///< V × H; where embeddings are tied, head.weight is the tensor `embedding`

  /// tokens int64 [B, T] → what the head is applied to, [B, T, H]. Every row starts at position 0; no
  /// padding.
  at::Tensor hidden_states(const at::Tensor& tokens) const;
  at::Tensor logits(const at::Tensor& tokens) const;  ///< [B, T, V] in the model's type
};

/// x · weight / √(mean x² + eps), the quotient in f32 and rounded before the product, as transformers does.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// Mean cross entropy of logits [B, T, V] (made f32) for the next token: position t predicts labels[t + 1];
/// labels of −100 do not count.
at::Tensor causal_loss(const at::Tensor& logits, const at::Tensor& labels);

/// Calls `visit` with every linear layer and its transformers name, the head last:
/// "model.layers.0.self_attn.q_proj", …, "lm_head".
void for_each_linear(Llama& model, const std::function<void(const std::string& name, Linear& linear)>& visit);

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};
/// All dense weights under their transformers names; the head's only where it is not tied. 4-bit weights are
/// left out.
std::vector<NamedTensor> base_parameters(const Llama& model);

}  // namespace assay::reference::llama
