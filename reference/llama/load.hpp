// SPDX-License-Identifier: Apache-2.0
// Where a Llama's weights come from: a Hugging Face folder, or random numbers.
#pragma once

#include <filesystem>
#include <optional>

#include "reference/llama/model.hpp"

namespace assay::reference::llama {

struct Placement {
  c10::Device device = at::kCPU;
  std::optional<FloatType> dtype;  ///< of dense weights; default: the config's
};

at::ScalarType scalar_type(FloatType type);

/// `config.json` and `model.safetensors`, or the shards of `model.safetensors.index.json`. Linear layers are
/// 16-bit, f32, or bitsandbytes-4bit where the checkpoint has their quantization state. Throws
/// std::invalid_argument for a missing tensor, a wrong shape or type, and a tensor that no part of the model
/// takes.
Llama load_llama(const std::filesystem::path& folder, const Placement& placement = {});

/// transformers' initialisation: matrices normal with std initializer_range, biases 0, norms 1. The numbers
/// are drawn on the CPU in f32, so a seed gives the same weights everywhere.
Llama random_llama(const LlamaConfig& config, std::uint64_t seed, const Placement& placement = {});

}  // namespace assay::reference::llama
