// SPDX-License-Identifier: Apache-2.0
// config.json of a Hugging Face Llama, as far as a step needs it.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "kernels/compile/step_estimate.hpp"

namespace assay::kernels::compile::checkpoint {

/// rope_type "llama3": low frequencies are divided by `factor`, high ones stay, those between are blended.
struct Llama3Rope {
  double factor = 8.0, low_freq_factor = 1.0, high_freq_factor = 4.0;
  std::int64_t original_length = 8192;  ///< original_max_position_embeddings
};

struct LlamaConfig {
  LlamaShape shape;  ///< lora_rank: not the file's
  double norm_epsilon = 1e-6;
  double rope_theta = 1e4;
  std::optional<Llama3Rope> llama3_rope = {};
};

/// Of transformers 4 and 5. Throws std::invalid_argument naming the key, what was expected and found: for
/// what is missing or malformed and for whatever the step does not compute (other architectures, activations
/// and rope types, biases, dropout, sliding windows, quantizations other than bitsandbytes' 4 bits).
LlamaConfig parse_llama_config(std::string_view json_text);
/// The same for a file, whose path the message begins with.
LlamaConfig read_llama_config(const std::filesystem::path& config_json);

/// f32 [head_dim / 2], radians a position: theta^(−2i / head_dim), scaled as llama3_rope says. Computed in
/// f64 and rounded once.
std::vector<float> rope_frequencies(const LlamaConfig& config);

}  // namespace assay::kernels::compile::checkpoint
