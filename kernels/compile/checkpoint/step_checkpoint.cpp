// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/step_checkpoint.hpp"

#include <memory>
#include <stdexcept>
#include <utility>

#include "kernels/compile/checkpoint/packed_memory.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

constexpr const char* kFrequencies = "frequencies";

StepOptions step_options_of(const LlamaConfig& config, const CheckpointOptions& options,
                            const LoraSettings& lora) {
  StepOptions step;
  step.shape = config.shape;
  step.shape.lora_rank = lora.rank;
  step.tokens = options.tokens, step.sequences = options.sequences;
  step.lora_scale = lora.scale(), step.norm_epsilon = config.norm_epsilon;
  step.keep = options.keep;
  step.packed_base = options.packed_base, step.adapters_begin = options.adapters_begin;
  return step;
}

bool is_linear(const std::string& buffer) {
  return buffer.ends_with("_proj");
}

std::vector<std::int64_t> stored_shape(const Buffer& buffer) {
  if (buffer.rows == 1 && buffer.name.ends_with("norm"))
    return {buffer.columns};
  return {buffer.rows, buffer.columns};
}

template <class Visit>
void for_each_weight(const Program& program, const Visit& visit) {
  for (const Buffer& buffer : program.buffers)
    if (buffer.role == Role::kFrozen && buffer.name != kFrequencies)
      visit(buffer);
}

}  // namespace

std::string tensor_name(const Buffer& buffer) {
  if (buffer.name == "lm_head")
    return "lm_head.weight";
  const std::size_t dot = buffer.name.rfind('.');
  const std::string leaf = buffer.name.substr(dot + 1);
  for (const std::string& linear : kLinearsOfLayer)
    if (linear.ends_with("." + leaf))
      return "model." + buffer.name.substr(0, dot + 1) + linear + ".weight";
  return "model." + buffer.name + ".weight";
}

StepCheckpoint::StepCheckpoint(std::filesystem::path folder, const CheckpointOptions& options)
    : folder_(std::move(folder)),
      options_(options),
      config_(read_llama_config(folder_ / "config.json")),
      adapter_{options.adapters.empty() ? options.lora : read_adapter_settings(options.adapters),
               {},
               folder_.string()},
      step_options_(step_options_of(config_, options, adapter_.settings)),
      program_(step_program(step_options_)),
      model_(folder_) {
  adapter_.targeted = targeted_linears(adapter_.settings, config_.shape.layers);
  for_each_weight(program_, [&](const Buffer& buffer) {
    four_bit_ = four_bit_ || (is_linear(buffer.name) && is_four_bit(model_, tensor_name(buffer)));
  });
  try {
    check_weights();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(folder_.string() + ": " + error.what());
  }
  if (!options.adapters.empty())
    stored_adapters(options.adapters, adapter_.targeted, program_);
}

void StepCheckpoint::check_weights() const {
  if (four_bit_ && !options_.packed_base)
    throw std::invalid_argument(
        "expected 16- or 32-bit linears for a base that is not packed, found 4-bit ones");
  for_each_weight(program_, [&](const Buffer& buffer) { check(buffer, tensor_name(buffer)); });
  refuse_others();
}

void StepCheckpoint::check(const Buffer& buffer, const std::string& name) const {
  if (four_bit_ && is_linear(buffer.name)) {
    if (!is_four_bit(model_, name))
      throw std::invalid_argument("'" + name +
                                  "': expected 4 bits with their state, as other linears have, found " +
                                  (model_.contains(name) ? text_of(model_.tensor(name)) : "nothing"));
    return check_four_bit(model_, name, buffer.rows, buffer.columns);
  }
  const StoredTensor& tensor = model_.tensor(name);
  const StoredTensor expected{.type = "F16, BF16 or F32", .shape = stored_shape(buffer)};
  if (!element_type(tensor.type) || tensor.shape != expected.shape)
    throw std::invalid_argument("'" + name + "': expected " + text_of(expected) + ", found " +
                                text_of(tensor));
}

/// A tied head is often stored all the same, and old checkpoints hold their rotation frequencies.
void StepCheckpoint::refuse_others() const {
  std::set<std::string> taken;
  if (config_.shape.tied)
    taken.insert("lm_head.weight");
  for_each_weight(program_, [&](const Buffer& buffer) {
    const std::string name = tensor_name(buffer);
    taken.insert(name);
    if (four_bit_ && is_linear(buffer.name))
      for (const std::string& part : parts_of_four_bit(model_, name)) taken.insert(part);
  });
  for (const std::string& name : model_.names())
    if (!taken.contains(name) && !name.ends_with(".rotary_emb.inv_freq"))
      throw std::invalid_argument("expected only tensors of the configured Llama, found '" + name +
                                  "' as well");
}

void StepCheckpoint::load(WeightSink& sink) const {
  const std::vector<float> frequencies = rope_frequencies(config_);
  sink.dense(kFrequencies, std::as_bytes(std::span(frequencies)));
  for_each_weight(program_, [&](const Buffer& buffer) { give(buffer, sink); });
  const auto adapters = options_.adapters.empty()
                            ? new_adapters(adapter_.targeted, options_.seed)
                            : stored_adapters(options_.adapters, adapter_.targeted, program_);
  for (const Buffer& buffer : program_.buffers)
    if (buffer.role == Role::kAdapter)
      sink.adapter(buffer.name, adapters->values(buffer));
}

void StepCheckpoint::give(const Buffer& buffer, WeightSink& sink) const {
  const std::string name = tensor_name(buffer);
  if (four_bit_ && is_linear(buffer.name)) {
    const PackedMemory weight = read_four_bit(model_, name, buffer.rows, buffer.columns);
    return sink.packed(buffer.name, weight.view());
  }
  const std::int64_t count = buffer.rows * buffer.columns;
  const bool is_packed = buffer.element == Element::kPacked;
  const ElementType stored = *element_type(model_.tensor(name).type);
  const ElementType wanted = is_packed ? stored : options_.compute;
  const std::size_t capacity = bytes_to_convert(count, stored, wanted);
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(capacity);
  const std::span<std::byte> bytes(memory.get(), capacity);
  model_.read(name, bytes.last(model_.tensor(name).bytes));
  convert(bytes, count, stored, wanted);
  const auto elements = bytes.first(static_cast<std::size_t>(count) * llama::size_of(wanted));
  if (const std::int64_t bad = first_not_finite(elements, wanted); bad >= 0)
    throw std::invalid_argument(
        folder_.string() + ": '" + name + "': expected values that are finite in the step's " +
        "type, found NaN, infinity or too large a number at [" + std::to_string(bad / buffer.columns) + ", " +
        std::to_string(bad % buffer.columns) + "]");
  if (is_packed)
    return sink.packed(buffer.name, quantized(elements, stored, count).view());
  sink.dense(buffer.name, elements);
}

void StepCheckpoint::save_adapters(
    const std::filesystem::path& folder,
    const std::function<std::vector<float>(const std::string& buffer)>& values) const {
  write_adapters(folder, adapter_, program_, values);
}

}  // namespace assay::kernels::compile::checkpoint
