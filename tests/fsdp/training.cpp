// SPDX-License-Identifier: Apache-2.0
#include "tests/fsdp/training.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include "reference/llama/adapter.hpp"
#include "reference/llama/load.hpp"
#include "reference/llama/rope.hpp"
#include "reference/llama/tiny_config.hpp"
#include "reference/nf4/dynamic_map.hpp"

namespace assay::testing {

namespace fsdp = kernels::fsdp;
namespace llama = reference::llama;
using at::Tensor;

namespace {

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
  kernels::nf4::PackedWeights packed;
  packed.packed = w.packed.const_data_ptr<std::uint8_t>();
  packed.num_weights = w.rows * w.columns;
  packed.absmax_codes = w.absmax.const_data_ptr<std::uint8_t>();
  packed.nested_absmax = w.nested_absmax.const_data_ptr<float>();
  packed.nested_code = w.nested_code.const_data_ptr<float>();
  packed.nested_offset = w.nested_offset.const_data_ptr<float>();
  packed.nested_block_size = static_cast<std::int32_t>(w.nested_block_size);
  return packed;
}

llama::Llama model() {
  auto config = llama::tiny_config();
  config.initializer_range = 0.2;
  config.num_layers = 4, config.hidden_size = 64, config.intermediate_size = 128;
  llama::Llama model = llama::random_llama(config, 5, {});
  const at::Generator random = at::detail::createCPUGenerator(7);
  llama::for_each_linear(model, [&](const std::string& name, llama::Linear& linear) {
    if (name == "lm_head")
      return;
    linear.four_bit = random_four_bit(linear.rows(), linear.columns(), random);
    linear.weight = Tensor();
  });
  llama::add_lora(model, {.rank = kRank, .alpha = 2.0 * kRank}, 11);
  for (const auto& [name, tensor] : llama::adapter_parameters(model))
    if (name.find("lora_B") != std::string::npos)
      tensor.detach().normal_(0, 0.1, random);
  return model;
}

}  // namespace

Problem training_problem(const std::vector<std::int64_t>& sequences) {
  const std::vector<std::int64_t> lengths = {9, 14, 6, 5};
  const at::Generator random = at::detail::createCPUGenerator(3);
  std::vector<Tensor> tokens, labels;
  for (std::int64_t s = 0; s < kSequences; ++s) {
    tokens.push_back(at::randint(101, {lengths[static_cast<std::size_t>(s)]}, random, at::kLong));
    labels.push_back(at::randint(101, {lengths[static_cast<std::size_t>(s)]}, random, at::kLong));
  }
  labels[1].slice(0, 0, 10).fill_(-100);
  labels[3].fill_(-100);
  Problem p;
  p.model = model();
  p.scale = 2.0;
  p.lengths.clear();
  std::vector<Tensor> own_tokens, own_labels;
  for (const std::int64_t s : sequences) {
    p.lengths.push_back(lengths[static_cast<std::size_t>(s)]);
    own_tokens.push_back(tokens[static_cast<std::size_t>(s)]);
    own_labels.push_back(labels[static_cast<std::size_t>(s)]);
  }
  p.tokens = at::cat(own_tokens), p.labels = at::cat(own_labels);
  return p;
}

std::vector<std::int64_t> sequences_of(int rank, int world) {
  std::vector<std::int64_t> own;
  for (std::int64_t s = rank * kSequences / world; s < (rank + 1) * kSequences / world; ++s) own.push_back(s);
  return own;
}

std::vector<double> plain_losses() {
  const Problem p = training_problem({0, 1, 2, 3});
  std::vector<Tensor> parameters;
  for (const auto& [name, tensor] : llama::adapter_parameters(p.model)) parameters.push_back(tensor);
  torch::optim::AdamW optimizer(parameters, torch::optim::AdamWOptions(kRate).weight_decay(kDecay));
  std::vector<double> losses;
  for (int i = 0; i < kSteps; ++i) {
    optimizer.zero_grad();
    losses.push_back(plain_loss(p));
    torch::nn::utils::clip_grad_norm_(parameters, kLargestNorm);
    optimizer.step();
  }
  return losses;
}

std::unique_ptr<fsdp::ShardedStep> sharded_step(Problem& p, const fsdp::RankGroups& groups,
                                                const RunOptions& options) {
  auto step =
      std::make_unique<fsdp::ShardedStep>(options_of(p, options.keep, true), options.compute, groups,
                                          fsdp::ShardOptions{.base = options.base,
                                                             .loss_scaler = options.loss_scaler,
                                                             .shard_vocabulary = options.shard_vocabulary});
  std::vector<std::int32_t> positions;
  for (const std::int64_t length : p.lengths)
    for (std::int32_t i = 0; i < length; ++i) positions.push_back(i);
  step->bind("tokens", p.tokens);
  step->bind("labels", p.labels);
  step->bind("positions", at::tensor(positions, at::kInt));
  step->bind("boundaries", at::tensor(boundaries_of(p.lengths), at::kInt));
  step->bind("frequencies", llama::inverse_frequencies(p.model.config));
  step->load("embed_tokens", p.model.embedding.to(options.compute));
  step->load("lm_head", p.model.head.weight.to(options.compute));
  step->bind("norm", p.model.norm.to(options.compute));
  for (std::size_t i = 0; i < p.model.layers.size(); ++i) {
    llama::Layer& layer = p.model.layers[i];
    const std::string prefix = "layers." + std::to_string(i) + ".";
    step->bind(prefix + "input_layernorm", layer.input_norm.to(options.compute));
    step->bind(prefix + "post_attention_layernorm", layer.post_attention_norm.to(options.compute));
    for (const auto& [name, of] : linears_of(layer)) {
      step->load(prefix + name, packed_of(*of.linear->four_bit));
      step->load(prefix + name + ".lora_B", of.linear->lora->b);
    }
    for (const char* group : {"qkv", "o", "gate_up", "down"})
      step->load(prefix + group + ".lora_A", stacked_a(layer, group, false));
  }
  return step;
}

std::vector<double> run_steps(fsdp::ShardedStep& step, int first, int last) {
  std::vector<double> losses;
  for (int i = first; i <= last; ++i)
    losses.push_back(step.run(at::tensor({kRate, static_cast<float>(i), kDecay, kLargestNorm})).loss);
  return losses;
}

}  // namespace assay::testing
