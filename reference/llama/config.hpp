// SPDX-License-Identifier: Apache-2.0
// A Llama as Hugging Face's config.json describes it (transformers 4 and 5, LlamaForCausalLM).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace assay::reference::llama {

/// Llama 3.1's stretching of the low rotation frequencies (rope_type "llama3").
struct RopeScaling {
  double factor = 8.0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;
  std::int64_t original_max_position_embeddings = 8192;
};

enum class FloatType : std::uint8_t { kFloat32, kFloat16, kBfloat16 };

struct LlamaConfig {
  std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  std::int64_t num_layers = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  std::optional<RopeScaling> rope_scaling;
  bool tie_word_embeddings = false, attention_bias = false, mlp_bias = false;
  double initializer_range = 0.02;  ///< std of random weights
  FloatType dtype = FloatType::kFloat32;
  /// Type that bitsandbytes-4bit layers compute in (bnb_4bit_compute_dtype), whatever the type of their
  /// input.
  FloatType four_bit_compute_dtype = FloatType::kFloat32;
};

/// Throws std::invalid_argument naming the key, what was expected and what was found: for a missing or
/// malformed key, and for every setting that would change the numbers and is not implemented here.
LlamaConfig parse_config(std::string_view json_text);

/// The same for a file, whose path the message then starts with.
LlamaConfig read_config(const std::filesystem::path& config_json);

/// The shapes of the published models: "llama-3.2-1b", "llama-3.1-8b". Throws std::invalid_argument for
/// others.
LlamaConfig published_config(std::string_view name);

}  // namespace assay::reference::llama
