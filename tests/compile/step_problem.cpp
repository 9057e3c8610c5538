// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/step_problem.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "reference/llama/adapter.hpp"
#include "reference/llama/load.hpp"
#include "reference/llama/rope.hpp"
#include "reference/llama/tiny_config.hpp"
#include "reference/nf4/dynamic_map.hpp"

namespace assay::testing {

namespace llama = reference::llama;
using at::Tensor;
using kernels::compile::EagerStep;
using kernels::compile::Keep;
using kernels::compile::PackedTensors;
using kernels::compile::StepOptions;

namespace {

/// Random nibbles and statistics; the weights they stand for are of order 0.1.
llama::FourBitWeight random_four_bit(std::int64_t rows, std::int64_t columns, const at::Generator& random) {
  llama::FourBitWeight w;
  const std::int64_t blocks = rows * columns / 64;
  w.packed = at::randint(256, {rows * columns / 2}, random, at::kByte);
  w.absmax = at::randint(256, {blocks}, random, at::kByte);
  w.nested_absmax = at::empty({(blocks + 255) / 256}, at::kFloat).uniform_(0.05, 0.1, random);
  w.nested_code = at::empty({256}, at::kFloat);
  reference::nf4::dynamic_map(w.nested_code.mutable_data_ptr<float>());
  w.nested_offset = at::tensor(0.2f);
  w.rows = rows, w.columns = columns;
  w.stored_type = at::kFloat;
  return w;
}

}  // namespace

Problem problem(bool tied, bool four_bit, ProblemSize size) {
  auto config = llama::tiny_config();
  config.initializer_range = 0.2;
  config.tie_word_embeddings = tied;
  config.rope_scaling = llama::RopeScaling{};
  if (four_bit)
    config.hidden_size = 64, config.intermediate_size = 128;
  Problem p;
  if (size == ProblemSize::kDevice) {
    config.hidden_size = 128, config.intermediate_size = 192;
    config.num_heads = 4, config.num_kv_heads = 2, config.head_dim = 64;
    p.lengths = {140, 1, 60}, p.rank = 8;
  }
  p.model = llama::random_llama(config, 5, {});
  const at::Generator random = at::detail::createCPUGenerator(7);
  for (llama::Layer& layer : p.model.layers)
    for (Tensor* norm : {&layer.input_norm, &layer.post_attention_norm}) norm->uniform_(0.5, 1.5, random);
  p.model.norm.uniform_(0.5, 1.5, random);
  if (four_bit)
    llama::for_each_linear(p.model, [&](const std::string& name, llama::Linear& linear) {
      if (name == "lm_head")
        return;
      linear.four_bit = random_four_bit(linear.rows(), linear.columns(), random);
      linear.weight = Tensor();
    });
  const llama::LoraOptions options{.rank = p.rank, .alpha = 2.0 * static_cast<double>(p.rank)};
  llama::add_lora(p.model, options, 11);
  p.scale = options.scale();
  for (const auto& [name, tensor] : llama::adapter_parameters(p.model)) {
    if (name.find("lora_B") != std::string::npos)
      tensor.detach().normal_(0, 0.2, random);
  }
  std::int64_t count = 0;
  for (const std::int64_t length : p.lengths) count += length;
  p.tokens = at::randint(config.vocab_size, {count}, random, at::kLong);
  p.labels = at::randint(config.vocab_size, {count}, random, at::kLong);
  p.labels[2] = -100;
  return p;
}

double plain_loss(const Problem& p) {
  std::vector<Tensor> states;
  std::int64_t begin = 0;
  for (const std::int64_t length : p.lengths) {
    states.push_back(p.model.hidden_states(p.tokens.narrow(0, begin, length).unsqueeze(0)).squeeze(0));
    begin += length;
  }
  const Tensor logits = p.model.head(at::cat(states)).to(at::kFloat);
  const Tensor loss = at::cross_entropy_loss(logits, p.labels);
  loss.backward();
  return loss.item<double>();
}

std::map<std::string, NamedLinear> linears_of(llama::Layer& layer) {
  return {{"q_proj", {"qkv", &layer.q}},           {"k_proj", {"qkv", &layer.k}},
          {"v_proj", {"qkv", &layer.v}},           {"o_proj", {"o", &layer.o}},
          {"gate_proj", {"gate_up", &layer.gate}}, {"up_proj", {"gate_up", &layer.up}},
          {"down_proj", {"down", &layer.down}}};
}

StepOptions options_of(const Problem& p, Keep keep, bool packed) {
  const auto& c = p.model.config;
  StepOptions options;
  options.shape = {.layers = c.num_layers,
                   .hidden = c.hidden_size,
                   .intermediate = c.intermediate_size,
                   .heads = c.num_heads,
                   .kv_heads = c.num_kv_heads,
                   .head_dim = c.head_dim,
                   .vocab = c.vocab_size,
                   .tied = c.tie_word_embeddings,
                   .lora_rank = p.rank};
  options.tokens = p.tokens.numel();
  options.sequences = static_cast<std::int64_t>(p.lengths.size());
  options.lora_scale = p.scale;
  options.norm_epsilon = c.rms_norm_eps;
  options.keep = keep;
  options.packed_base = packed;
  return options;
}

Tensor stacked_a(llama::Layer& layer, const std::string& group, bool gradient) {
  std::vector<Tensor> parts;
  const std::map<std::string, std::vector<llama::Linear*>> members = {{"qkv", {&layer.q, &layer.k, &layer.v}},
                                                                      {"o", {&layer.o}},
                                                                      {"gate_up", {&layer.gate, &layer.up}},
                                                                      {"down", {&layer.down}}};
  for (const llama::Linear* linear : members.at(group))
    parts.push_back(gradient ? linear->lora->a.grad() : linear->lora->a.detach());
  return at::cat(parts);
}

static PackedTensors packed_of(const llama::FourBitWeight& w) {
  return {w.packed, w.absmax, w.nested_absmax, w.nested_code, w.nested_offset.view({1})};
}

EagerStep step_of(Problem& p, Keep keep, at::ScalarType type, bool packed,
                  const std::function<void(kernels::compile::Program&)>& change) {
  kernels::compile::Program program = kernels::compile::step_program(options_of(p, keep, packed));
  if (change)
    change(program);
  EagerStep step(std::move(program), type);
  const std::vector<std::int32_t> boundaries = boundaries_of(p.lengths);
  std::vector<std::int32_t> positions;
  for (const std::int64_t length : p.lengths)
    for (std::int32_t i = 0; i < length; ++i) positions.push_back(i);
  step.bind("tokens", p.tokens);
  step.bind("labels", p.labels);
  step.bind("positions", at::tensor(at::ArrayRef<std::int32_t>(positions), at::kInt));
  step.bind("boundaries", at::tensor(at::ArrayRef<std::int32_t>(boundaries), at::kInt));
  step.bind("frequencies", llama::inverse_frequencies(p.model.config));
  step.bind("settings", at::tensor({1e-2f, 1.0f, 0.1f, 0.0f}));
  step.bind("embed_tokens", p.model.embedding.to(type));
  if (!p.model.config.tie_word_embeddings)
    step.bind("lm_head", p.model.head.weight.to(type));
  step.bind("norm", p.model.norm.to(type));
  for (std::size_t i = 0; i < p.model.layers.size(); ++i) {
    llama::Layer& layer = p.model.layers[i];
    const std::string prefix = "layers." + std::to_string(i) + ".";
    step.bind(prefix + "input_layernorm", layer.input_norm.to(type));
    step.bind(prefix + "post_attention_layernorm", layer.post_attention_norm.to(type));
    for (const auto& [name, of] : linears_of(layer)) {
      if (packed)
        step.bind(prefix + name, packed_of(*of.linear->four_bit));
      else
        step.bind(prefix + name, of.linear->weight.to(type));
      step.bind(prefix + name + ".lora_B", of.linear->lora->b.detach().clone());
    }
    for (const char* group : {"qkv", "o", "gate_up", "down"})
      step.bind(prefix + group + ".lora_A", stacked_a(layer, group, false));
  }
  step.copy_adapters();
  return step;
}

std::vector<std::int32_t> boundaries_of(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int32_t> boundaries{0};
  for (const std::int64_t length : lengths)
    boundaries.push_back(boundaries.back() + static_cast<std::int32_t>(length));
  return boundaries;
}

double worst_gradient(Problem& p, const EagerStep& step) {
  double worst = 0;
  for (std::size_t i = 0; i < p.model.layers.size(); ++i) {
    for (const char* group : {"qkv", "o", "gate_up", "down"}) {
      const Tensor wanted = stacked_a(p.model.layers[i], group, true);
      const Tensor found = step.tensor("layers." + std::to_string(i) + "." + group + ".lora_A.gradient");
      worst = std::max(worst, (found - wanted).norm().item<double>() / wanted.norm().item<double>());
    }
  }
  return worst;
}

}  // namespace assay::testing
