// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/llama_config.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "kernels/compile/checkpoint/json_object.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

/// Settings for which the step has one value.
void require_what_the_step_computes(const JsonObject& in) {
  in.require(in.text("model_type") == "llama", "model_type", "\"llama\"");
  if (in.has("architectures")) {
    const Json& names = in.at("architectures");
    in.require(names.is_array() && std::ranges::find(names, Json("LlamaForCausalLM")) != names.end(),
               "architectures", "an array with \"LlamaForCausalLM\"");
  }
  in.require(in.text("hidden_act", "silu") == "silu", "hidden_act", "\"silu\"");
  for (const char* key : {"attention_bias", "mlp_bias"})
    in.require(!in.flag(key, false), key, "false (the step's linears have no bias)");
  in.require(in.number("attention_dropout", 0.0) == 0.0, "attention_dropout", "0");
  for (const char* key : {"pretraining_tp", "partial_rotary_factor"})
    in.require(in.number(key, 1.0) == 1.0, key, "1");
  in.require(!in.has("sliding_window"), "sliding_window", "null");
}

/// Larger ones are damage, and would be a list too long to make before it is noticed.
constexpr std::int64_t kMostLayers = 4096, kMostOfOthers = 1 << 22;

LlamaShape shape_of(const JsonObject& in) {
  LlamaShape s;
  s.layers = in.count("num_hidden_layers");
  in.require(s.layers <= kMostLayers, "num_hidden_layers", "at most 4096");
  for (const char* key :
       {"hidden_size", "intermediate_size", "vocab_size", "num_attention_heads", "head_dim"})
    in.require(in.count(key, 1) <= kMostOfOthers, key, "at most 2^22");
  s.hidden = in.count("hidden_size");
  s.intermediate = in.count("intermediate_size");
  s.vocab = in.count("vocab_size");
  s.heads = in.count("num_attention_heads");
  s.kv_heads = in.count("num_key_value_heads", s.heads);
  in.require(s.heads % s.kv_heads == 0, "num_key_value_heads",
             "a divisor of num_attention_heads = " + std::to_string(s.heads));
  in.require(in.has("head_dim") || s.hidden % s.heads == 0, "hidden_size",
             "a multiple of num_attention_heads = " + std::to_string(s.heads));
  s.head_dim = in.count("head_dim", std::max<std::int64_t>(s.hidden / s.heads, 1));
  in.require(s.head_dim % 2 == 0, "head_dim", "an even number");
  s.tied = in.flag("tie_word_embeddings", false);
  return s;
}

Llama3Rope llama3_rope_of(const JsonObject& rope) {
  Llama3Rope scaling{.factor = rope.positive("factor"),
                     .low_freq_factor = rope.positive("low_freq_factor"),
                     .high_freq_factor = rope.positive("high_freq_factor"),
                     .original_length = rope.count("original_max_position_embeddings")};
  rope.require(scaling.high_freq_factor > scaling.low_freq_factor, "high_freq_factor",
               "more than low_freq_factor");
  return scaling;
}

/// transformers 5: rope_parameters with rope_theta inside; 4: rope_scaling, or null, beside rope_theta.
void read_rope(const JsonObject& in, LlamaConfig& config) {
  in.require(!(in.has("rope_parameters") && in.has("rope_scaling")), "rope_scaling",
             "null beside rope_parameters");
  config.rope_theta = in.positive("rope_theta", 1e4);
  const char* key = in.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!in.has(key))
    return;
  const JsonObject rope = in.object(key);
  config.rope_theta = rope.positive("rope_theta", config.rope_theta);
  rope.require(rope.number("partial_rotary_factor", 1.0) == 1.0, "partial_rotary_factor", "1");
  const char* type_key = rope.has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.text(type_key);
  rope.require(type == "default" || type == "llama3", type_key, "\"default\" or \"llama3\"");
  if (type == "llama3")
    config.llama3_rope = llama3_rope_of(rope);
}

void require_known_quantization(const JsonObject& in) {
  if (!in.has("quantization_config"))
    return;
  const JsonObject quantization = in.object("quantization_config");
  quantization.require(quantization.text("quant_method") == "bitsandbytes", "quant_method",
                       "\"bitsandbytes\"");
  quantization.require(quantization.flag("load_in_4bit", false), "load_in_4bit", "true");
}

}  // namespace

LlamaConfig parse_llama_config(std::string_view json_text) {
  const Json object = parse_object(json_text);
  const JsonObject in(object);
  require_what_the_step_computes(in);
  require_known_quantization(in);
  LlamaConfig config;
  config.shape = shape_of(in);
  config.norm_epsilon = in.positive("rms_norm_eps", 1e-6);
  read_rope(in, config);
  return config;
}

LlamaConfig read_llama_config(const std::filesystem::path& config_json) {
  const std::string text = read_text(config_json);
  try {
    return parse_llama_config(text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(config_json.string() + ": " + error.what());
  }
}

std::vector<float> rope_frequencies(const LlamaConfig& config) {
  const std::int64_t half = config.shape.head_dim / 2;
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < half; ++i) {
    double frequency = std::pow(config.rope_theta, -static_cast<double>(i) / static_cast<double>(half));
    if (const auto& rope = config.llama3_rope) {
      // Turns within the original length; up to `low` of them: stretched, from `high` on: kept.
      const double turns = static_cast<double>(rope->original_length) * frequency / (2 * std::numbers::pi);
      const double kept = std::clamp(
          (turns - rope->low_freq_factor) / (rope->high_freq_factor - rope->low_freq_factor), 0.0, 1.0);
      frequency = kept * frequency + (1 - kept) * frequency / rope->factor;
    }
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

}  // namespace assay::kernels::compile::checkpoint
