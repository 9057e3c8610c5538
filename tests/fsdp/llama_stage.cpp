// SPDX-License-Identifier: Apache-2.0
#include "tests/fsdp/llama_stage.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <utility>

#include "reference/llama/rope.hpp"

namespace assay::testing {

namespace llama = reference::llama;
using at::Tensor;

namespace {

/// x [1, T, H] through one layer, as reference/llama/model.cpp has it.
Tensor layer_of(const llama::LlamaConfig& config, const llama::Layer& layer, const Tensor& x) {
  const std::int64_t length = x.size(1);
  const auto by = llama::rotation(config, length, x.device(), x.scalar_type());
  const auto heads = [&](const Tensor& t) {
    return t.view({1, length, -1, config.head_dim}).transpose(1, 2);
  };
  const auto shared = [&](const Tensor& t) {
    return t.repeat_interleave(config.num_heads / config.num_kv_heads, 1);
  };
  const Tensor normed = llama::rms_norm(x, layer.input_norm, config.rms_norm_eps);
  const Tensor q = llama::rotate(heads(layer.q(normed)), by),
               k = shared(llama::rotate(heads(layer.k(normed)), by)), v = shared(heads(layer.v(normed)));
  const Tensor future = at::full({length, length}, true, x.options().dtype(at::kBool)).triu(1);
  const Tensor scores =
      at::matmul(q, k.transpose(2, 3)) * (1.0 / std::sqrt(static_cast<double>(config.head_dim)));
  const Tensor weights = scores.masked_fill(future, -std::numeric_limits<double>::infinity()).softmax(-1);
  const Tensor middle = x + layer.o(at::matmul(weights, v).transpose(1, 2).reshape({1, length, -1}));
  const Tensor inner = llama::rms_norm(middle, layer.post_attention_norm, config.rms_norm_eps);
  return middle + layer.down(at::silu(layer.gate(inner)) * layer.up(inner));
}

}  // namespace

LlamaStage::LlamaStage(Problem& problem, int stage, int stages)
    : problem_(problem),
      begin_(problem.model.layers.size() * static_cast<std::size_t>(stage) /
             static_cast<std::size_t>(stages)),
      end_(problem.model.layers.size() * static_cast<std::size_t>(stage + 1) /
           static_cast<std::size_t>(stages)),
      first_(stage == 0),
      last_(stage == stages - 1) {
  for (std::size_t i = begin_; i < end_; ++i)
    for (const auto& [name, of] : linears_of(problem_.model.layers[i]))
      for (Tensor* each : {&of.linear->lora->a, &of.linear->lora->b}) {
        each->mutable_grad() = at::zeros_like(*each);
        adapters_.push_back(*each);
      }
}

Tensor LlamaStage::of_sequence(const Tensor& whole, int microbatch) const {
  std::int64_t begin = 0;
  for (int m = 0; m < microbatch; ++m) begin += problem_.lengths[static_cast<std::size_t>(m)];
  return whole.narrow(0, begin, problem_.lengths[static_cast<std::size_t>(microbatch)]);
}

Tensor LlamaStage::compute(int microbatch, const Tensor& input) const {
  const llama::Llama& model = problem_.model;
  Tensor x = input;
  for (std::size_t i = begin_; i < end_; ++i) x = layer_of(model.config, model.layers[i], x);
  if (!last_)
    return x;
  const Tensor logits = model.head(llama::rms_norm(x, model.norm, model.config.rms_norm_eps)).squeeze(0);
  return at::cross_entropy_loss(logits, of_sequence(problem_.labels, microbatch), {}, at::Reduction::Sum) /
         problem_.labels.ne(-100).sum();
}

Tensor LlamaStage::forward(int microbatch, const Tensor& input) {
  Held& held = held_[microbatch];
  held.input =
      first_ ? at::embedding(problem_.model.embedding, of_sequence(problem_.tokens, microbatch)).unsqueeze(0)
             : input.clone().set_requires_grad(true);
  held.output = compute(microbatch, held.input);
  if (last_)
    loss_ += held.output.item<double>();
  return last_ ? Tensor() : held.output.detach();
}

void LlamaStage::recompute(int microbatch) {
  Held& held = held_.at(microbatch);
  held.output = compute(microbatch, held.input);
}

std::vector<Tensor> LlamaStage::gradients(const Held& held, const std::vector<Tensor>& of) const {
  const std::vector<Tensor> upstream = last_ ? std::vector<Tensor>{} : std::vector<Tensor>{held.gradient};
  return torch::autograd::grad({held.output}, of, upstream, /*retain_graph=*/true);
}

Tensor LlamaStage::backward_input(int microbatch, const Tensor& output_gradient) {
  Held& held = held_.at(microbatch);
  held.gradient = output_gradient;
  return first_ ? Tensor() : gradients(held, {held.input})[0];
}

void LlamaStage::backward_weight(int microbatch) {
  const std::vector<Tensor> found = gradients(held_.at(microbatch), adapters_);
  for (std::size_t i = 0; i < adapters_.size(); ++i) adapters_[i].mutable_grad() += found[i];
  held_.erase(microbatch);
}

Tensor LlamaStage::new_input(int microbatch) const {
  return at::empty(
      {1, problem_.lengths[static_cast<std::size_t>(microbatch)], problem_.model.config.hidden_size},
      at::kFloat);
}

double LlamaStage::take_loss() {
  return std::exchange(loss_, 0.0);
}

}  // namespace assay::testing
