// SPDX-License-Identifier: Apache-2.0
// LoRA as PEFT has it: settings, which linears are meant, how adapters begin.
#pragma once

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace assay::kernels::compile::checkpoint {

struct LoraSettings {
  std::int64_t rank = 16;
  double alpha = 32.0;
  bool rslora = false;  ///< scale alpha / √rank instead of alpha / rank
  /// A linear is meant where its name, "model.layers.0.self_attn.q_proj", is one of these or ends in a dot
  /// and one of these. The step has adapters on all linears; those not meant are zero and stay zero, since A
  /// = 0 and B = 0 have no gradient and decay to themselves.
  std::vector<std::string> target_modules = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                             "gate_proj", "up_proj", "down_proj"};

  double scale() const;
};

/// PEFT's adapter_config.json. Throws std::invalid_argument naming the key: for what would change the numbers
/// and the step does not do (dropout, DoRA, biases, patterns of rank or layers, modules to save), and for any
/// key not known here that is not null, false, 0 or empty.
LoraSettings parse_adapter_config(std::string_view json_text);
/// `base_model`: what base_model_name_or_path says; empty: null.
std::string adapter_config_text(const LoraSettings& settings, const std::string& base_model);

/// Names of the linears of `layers` layers that `settings` mean. Throws std::invalid_argument for a target
/// that means none of them.
std::set<std::string> targeted_linears(const LoraSettings& settings, std::int64_t layers);

/// The linears of a layer in the model's order, as "self_attn.q_proj".
extern const std::vector<std::string> kLinearsOfLayer;

/// torch's generator on the CPU: the numbers of Tensor.uniform_ on f32 tensors filled one after the other (on
/// CPUs without FMA torch's last bit may differ).
class TorchUniform {
 public:
  explicit TorchUniform(std::uint64_t seed) : bits_(static_cast<std::uint32_t>(seed)) {}
  std::vector<float> draw(std::int64_t count, float low, float high);

 private:
  std::mt19937 bits_;
};

}  // namespace assay::kernels::compile::checkpoint
