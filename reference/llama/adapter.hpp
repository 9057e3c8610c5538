// SPDX-License-Identifier: Apache-2.0
// LoRA as PEFT defines it: which layers, how they start, how they are stored.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "reference/llama/model.hpp"

namespace assay::reference::llama {

struct LoraOptions {
  std::int64_t rank = 8;
  double alpha = 8.0;
  bool rslora = false;  ///< scale alpha / √rank instead of alpha / rank
  /// A layer is meant when its name is one of these or ends in "." and one of these, as in PEFT.
  std::vector<std::string> target_modules = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                             "gate_proj", "up_proj", "down_proj"};

  double scale() const;
};

/// Puts adapters that require a gradient beside the meant layers: A kaiming-uniform with a = √5, that is
/// uniform in ±1/√columns, drawn from `seed` on the CPU; B zero. `type` is f32 where PEFT's
/// autocast_adapter_dtype keeps its default. Throws std::invalid_argument when a target names no layer, or a
/// layer has an adapter already.
void add_lora(Llama& model, const LoraOptions& options, std::uint64_t seed, at::ScalarType type = at::kFloat);

/// A and B of every adapter under PEFT's names,
/// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", ….
std::vector<NamedTensor> adapter_parameters(const Llama& model);

/// Writes `adapter_config.json` and `adapter_model.safetensors` into `folder`, which is made where it is
/// missing.
void save_adapter(const Llama& model, const LoraOptions& options, const std::filesystem::path& folder);

/// Reads what save_adapter or PEFT's save_pretrained wrote and puts it beside the layers, requiring
/// gradients. `type`: f32, or the stored one where none is given. Throws std::invalid_argument for settings
/// that would change the numbers and are not implemented (dropout, DoRA, biases, patterns, modules to save,
/// …), for missing or unexpected tensors and wrong shapes.
LoraOptions load_adapter(Llama& model, const std::filesystem::path& folder,
                         std::optional<at::ScalarType> type = at::kFloat);

}  // namespace assay::reference::llama
