// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/rank/model.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>

#include <array>
#include <random>

#include "reference/llama/adapter.hpp"
#include "reference/llama/load.hpp"
#include "reference/llama/rope.hpp"
#include "reference/llama/tiny_config.hpp"
#include "reference/nf4/dynamic_map.hpp"
#include "suites/fsdp/training/run_plan.hpp"

namespace assay::suites::fsdp {

namespace llama = reference::llama;
using at::Tensor;

namespace {

constexpr std::int64_t kRank = 3;
constexpr double kScale = 2.0;
constexpr std::array<std::int64_t, kSequences> kLengths = {9, 14, 6, 5};

std::int64_t length_of(int sequence) {
  return kLengths.at(static_cast<std::size_t>(sequence));
}

llama::FourBitWeight random_four_bit(std::int64_t rows, std::int64_t columns, const at::Generator& random) {
  llama::FourBitWeight w;
  const std::int64_t blocks = rows * columns / kFormat.block_size, nested = kFormat.nested_block_size;
  w.packed = at::randint(256, {rows * columns / 2}, random, at::kByte);
  w.absmax = at::randint(256, {blocks}, random, at::kByte);
  w.nested_absmax = at::empty({(blocks + nested - 1) / nested}, at::kFloat).uniform_(0.05, 0.1, random);
  w.nested_code = at::empty({256}, at::kFloat);
  reference::nf4::dynamic_map(w.nested_code.mutable_data_ptr<float>());
  w.nested_offset = at::tensor(0.15f);
  w.rows = rows, w.columns = columns, w.nested_block_size = nested;
  w.stored_type = at::kFloat;
  return w;
}

kernels::nf4::PackedWeights packed_of(const llama::FourBitWeight& w) {
  return {.packed = w.packed.const_data_ptr<std::uint8_t>(),
          .num_weights = w.rows * w.columns,
          .absmax_codes = w.absmax.const_data_ptr<std::uint8_t>(),
          .nested_absmax = w.nested_absmax.const_data_ptr<float>(),
          .nested_code = w.nested_code.const_data_ptr<float>(),
          .nested_offset = w.nested_offset.const_data_ptr<float>(),
          .nested_block_size = static_cast<std::int32_t>(w.nested_block_size)};
}

/// One sequence of a batch: three of four tokens follow from the one before; the label is the next token.
std::pair<Tensor, Tensor> sequence_of(int batch, int sequence) {
  constexpr std::int64_t kWords = 101, kFactor = 5, kShift = 7;
  std::mt19937_64 random(static_cast<std::uint64_t>(kSequences * batch + sequence + 1));
  std::vector<std::int64_t> words(static_cast<std::size_t>(length_of(sequence)) + 1);
  std::int64_t last = static_cast<std::int64_t>(random() % kWords);
  for (std::int64_t& word : words) {
    const std::uint64_t bits = random();
    last =
        bits % 4 != 0 ? (kFactor * last + kShift) % kWords : static_cast<std::int64_t>((bits >> 8) % kWords);
    word = last;
  }
  const Tensor all = at::tensor(words, at::kLong);
  Tensor labels = all.slice(0, 1).clone();
  if (sequence == 1)
    labels.slice(0, 0, 10).fill_(-100);
  if (sequence == kSequences - 1 && batch % 2 == 0)
    labels.fill_(-100);
  return {all.slice(0, 0, -1).clone(), labels};
}

void load_layer(kernels::fsdp::ShardedStep& step, const std::string& prefix, llama::Layer& layer,
                at::Device device) {
  step.bind(prefix + "input_layernorm", layer.input_norm.to(device));
  step.bind(prefix + "post_attention_layernorm", layer.post_attention_norm.to(device));
  const std::pair<const char*, llama::Linear*> linears[] = {
      {"q_proj", &layer.q},       {"k_proj", &layer.k},   {"v_proj", &layer.v},      {"o_proj", &layer.o},
      {"gate_proj", &layer.gate}, {"up_proj", &layer.up}, {"down_proj", &layer.down}};
  for (const auto& [name, linear] : linears) {
    step.load(prefix + name, packed_of(*linear->four_bit));
    step.load(prefix + name + ".lora_B", linear->lora->b.detach());
  }
  const std::pair<const char*, std::vector<llama::Linear*>> groups[] = {
      {"qkv", {&layer.q, &layer.k, &layer.v}},
      {"o", {&layer.o}},
      {"gate_up", {&layer.gate, &layer.up}},
      {"down", {&layer.down}}};
  for (const auto& [name, members] : groups) {
    std::vector<Tensor> stacked;
    for (const llama::Linear* linear : members) stacked.push_back(linear->lora->a.detach());
    step.load(prefix + name + ".lora_A", at::cat(stacked));
  }
}

}  // namespace

llama::Llama tiny_model() {
  auto config = llama::tiny_config();
  config.initializer_range = 0.2;
  config.num_layers = kLayers, config.hidden_size = 64, config.intermediate_size = 128;
  llama::Llama model = llama::random_llama(config, 5, {});
  const at::Generator random = at::detail::createCPUGenerator(7);
  llama::for_each_linear(model, [&](const std::string& name, llama::Linear& linear) {
    if (name == "lm_head")
      return;
    linear.four_bit = random_four_bit(linear.rows(), linear.columns(), random);
    linear.weight = Tensor();
  });
  llama::add_lora(model, {.rank = kRank, .alpha = kScale * kRank}, 11);
  for (const auto& [name, tensor] : llama::adapter_parameters(model))
    if (name.find("lora_B") != std::string::npos)
      tensor.detach().normal_(0, 0.1, random);
  return model;
}

Batch batch_of(int number, const std::vector<int>& which) {
  std::vector<Tensor> tokens, labels;
  for (const int sequence : which) {
    auto [words, next] = sequence_of(number % kBatches, sequence);
    tokens.push_back(std::move(words)), labels.push_back(std::move(next));
  }
  return {at::cat(tokens), at::cat(labels)};
}

kernels::compile::StepOptions step_options(const llama::Llama& model, const std::vector<int>& which) {
  const auto& c = model.config;
  kernels::compile::StepOptions options;
  options.shape = {.layers = c.num_layers,
                   .hidden = c.hidden_size,
                   .intermediate = c.intermediate_size,
                   .heads = c.num_heads,
                   .kv_heads = c.num_kv_heads,
                   .head_dim = c.head_dim,
                   .vocab = c.vocab_size,
                   .tied = c.tie_word_embeddings,
                   .lora_rank = kRank};
  options.tokens = 0;
  for (const int sequence : which) options.tokens += length_of(sequence);
  options.sequences = static_cast<std::int64_t>(which.size());
  options.lora_scale = kScale;
  options.norm_epsilon = c.rms_norm_eps;
  options.keep = kernels::compile::Keep::kEverything;
  options.packed_base = true;
  return options;
}

void load(kernels::fsdp::ShardedStep& step, llama::Llama& model, const std::vector<int>& which,
          at::Device device) {
  std::vector<std::int32_t> positions, boundaries = {0};
  for (const int sequence : which) {
    for (std::int32_t i = 0; i < length_of(sequence); ++i) positions.push_back(i);
    boundaries.push_back(static_cast<std::int32_t>(positions.size()));
  }
  step.bind("positions", at::tensor(positions, at::kInt).to(device));
  step.bind("boundaries", at::tensor(boundaries, at::kInt).to(device));
  step.bind("frequencies", llama::inverse_frequencies(model.config).to(device));
  step.load("embed_tokens", model.embedding);
  step.load("lm_head", model.head.weight);
  step.bind("norm", model.norm.to(device));
  for (std::size_t i = 0; i < model.layers.size(); ++i)
    load_layer(step, "layers." + std::to_string(i) + ".", model.layers[i], device);
}

}  // namespace assay::suites::fsdp
