// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/config.hpp"

#include <algorithm>
#include <stdexcept>

#include "reference/llama/json_fields.hpp"

namespace assay::reference::llama {
namespace {

FloatType float_type(const Fields& in, const char* key, FloatType fallback) {
  if (!in.has(key))
    return fallback;
  std::string name = in.text(key);
  if (name.starts_with("torch."))
    name = name.substr(6);
  if (name == "float32")
    return FloatType::kFloat32;
  if (name == "float16")
    return FloatType::kFloat16;
  if (name == "bfloat16")
    return FloatType::kBfloat16;
  in.refuse(key, "float32, float16 or bfloat16");
}

double positive_number(const Fields& in, const char* key, std::optional<double> fallback = {}) {
  const double value = in.number(key, fallback);
  if (!(value > 0))
    in.refuse(key, "a number above 0");
  return value;
}

/// What changes the numbers and has one implemented value.
void require_implemented(const Fields& in) {
  if (in.text("model_type") != "llama")
    in.refuse("model_type", "\"llama\"");
  if (in.has("architectures")) {
    const auto& names = in.raw("architectures");
    if (!names.is_array() || std::find(names.begin(), names.end(), "LlamaForCausalLM") == names.end())
      in.refuse("architectures", "an array with \"LlamaForCausalLM\"");
  }
  if (in.text("hidden_act", "silu") != "silu")
    in.refuse("hidden_act", "\"silu\"");
  if (in.number("attention_dropout", 0.0) != 0.0)
    in.refuse("attention_dropout", "0");
  if (in.number("pretraining_tp", 1.0) != 1.0)
    in.refuse("pretraining_tp", "1");
  if (in.number("partial_rotary_factor", 1.0) != 1.0)
    in.refuse("partial_rotary_factor", "1");
  if (in.has("sliding_window"))
    in.refuse("sliding_window", "null");
}

/// transformers 5 writes rope_parameters with rope_theta inside, 4 rope_scaling (or null) beside rope_theta.
void read_rope(const Fields& in, LlamaConfig& config) {
  if (in.has("rope_parameters") && in.has("rope_scaling"))
    in.refuse("rope_scaling", "null beside rope_parameters");
  config.rope_theta = positive_number(in, "rope_theta", 10000.0);
  const char* key = in.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!in.has(key))
    return;
  const Fields rope = in.object(key);
  config.rope_theta = positive_number(rope, "rope_theta", config.rope_theta);
  if (rope.number("partial_rotary_factor", 1.0) != 1.0)
    rope.refuse("partial_rotary_factor", "1");
  const char* type_key = rope.has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.text(type_key);
  if (type == "default")
    return;
  if (type != "llama3")
    rope.refuse(type_key, "\"default\" or \"llama3\"");
  RopeScaling scaling;
  scaling.factor = positive_number(rope, "factor");
  scaling.low_freq_factor = positive_number(rope, "low_freq_factor");
  scaling.high_freq_factor = positive_number(rope, "high_freq_factor");
  if (scaling.high_freq_factor <= scaling.low_freq_factor)
    rope.refuse("high_freq_factor", "more than low_freq_factor");
  scaling.original_max_position_embeddings = rope.positive("original_max_position_embeddings");
  config.rope_scaling = scaling;
}

void read_heads(const Fields& in, LlamaConfig& config) {
  config.num_heads = in.positive("num_attention_heads");
  config.num_kv_heads = in.positive("num_key_value_heads", config.num_heads);
  if (config.num_heads % config.num_kv_heads != 0)
    in.refuse("num_key_value_heads",
              "a divisor of num_attention_heads = " + std::to_string(config.num_heads));
  if (!in.has("head_dim") && config.hidden_size % config.num_heads != 0)
    in.refuse("hidden_size", "a multiple of num_attention_heads = " + std::to_string(config.num_heads));
  config.head_dim = in.positive("head_dim", config.hidden_size / config.num_heads);
  if (config.head_dim % 2 != 0)
    refuse_key("head_dim", "an even number", config.head_dim);
}

void read_quantization(const Fields& in, LlamaConfig& config) {
  if (!in.has("quantization_config"))
    return;
  const Fields quantization = in.object("quantization_config");
  if (quantization.text("quant_method") != "bitsandbytes")
    quantization.refuse("quant_method", "\"bitsandbytes\"");
  if (!quantization.flag("load_in_4bit", false))
    quantization.refuse("load_in_4bit", "true");
  config.four_bit_compute_dtype = float_type(quantization, "bnb_4bit_compute_dtype", FloatType::kFloat32);
}

}  // namespace

LlamaConfig parse_config(std::string_view json_text) {
  const auto object = parse_object(json_text);
  const Fields in(object);
  require_implemented(in);
  LlamaConfig config;
  config.vocab_size = in.positive("vocab_size");
  config.hidden_size = in.positive("hidden_size");
  config.intermediate_size = in.positive("intermediate_size");
  config.num_layers = in.positive("num_hidden_layers");
  read_heads(in, config);
  config.rms_norm_eps = positive_number(in, "rms_norm_eps", 1e-6);
  read_rope(in, config);
  config.tie_word_embeddings = in.flag("tie_word_embeddings", false);
  config.attention_bias = in.flag("attention_bias", false);
  config.mlp_bias = in.flag("mlp_bias", false);
  config.initializer_range = positive_number(in, "initializer_range", 0.02);
  config.dtype = float_type(in, in.has("dtype") ? "dtype" : "torch_dtype", FloatType::kFloat32);
  read_quantization(in, config);
  return config;
}

LlamaConfig read_config(const std::filesystem::path& config_json) {
  const std::string text = read_text(config_json);
  try {
    return parse_config(text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(config_json.string() + ": " + error.what());
  }
}

LlamaConfig published_config(std::string_view name) {
  LlamaConfig config;
  config.vocab_size = 128256;
  config.rms_norm_eps = 1e-5;
  config.rope_theta = 500000.0;
  config.dtype = FloatType::kBfloat16;
  config.num_heads = 32;
  config.num_kv_heads = 8;
  if (name == "llama-3.2-1b") {
    config.hidden_size = 2048;
    config.intermediate_size = 8192;
    config.num_layers = 16;
    config.head_dim = 64;
    config.rope_scaling = RopeScaling{.factor = 32.0};
    config.tie_word_embeddings = true;
  } else if (name == "llama-3.1-8b") {
    config.hidden_size = 4096;
    config.intermediate_size = 14336;
    config.num_layers = 32;
    config.head_dim = 128;
    config.rope_scaling = RopeScaling{.factor = 8.0};
  } else {
    throw std::invalid_argument("expected llama-3.2-1b or llama-3.1-8b, found '" + std::string(name) + "'");
  }
  return config;
}

}  // namespace assay::reference::llama
