// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/lora.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "kernels/compile/checkpoint/json_object.hpp"

namespace assay::kernels::compile::checkpoint {
namespace {

/// Looked at below, or of no influence on what a trained adapter computes.
constexpr std::array<std::string_view, 17> kKnown = {"peft_type",
                                                     "peft_version",
                                                     "task_type",
                                                     "base_model_name_or_path",
                                                     "revision",
                                                     "r",
                                                     "lora_alpha",
                                                     "lora_dropout",
                                                     "use_rslora",
                                                     "target_modules",
                                                     "bias",
                                                     "inference_mode",
                                                     "auto_mapping",
                                                     "init_lora_weights",
                                                     "megatron_config",
                                                     "megatron_core",
                                                     "qalora_group_size"};

bool asks_for_nothing(const Json& value) {
  return value.is_null() || value == Json(false) || value == Json(0) || value == Json("") ||
         (value.is_structured() && value.empty());
}

std::vector<std::string> targets_of(const JsonObject& in) {
  const char* const expected = "an array of names, or \"all-linear\"";
  in.require(in.has("target_modules"), "target_modules", expected);
  const Json& value = in.at("target_modules");
  if (value == Json("all-linear"))
    return LoraSettings().target_modules;
  in.require(value.is_array() && !value.empty(), "target_modules", expected);
  std::vector<std::string> names;
  for (const Json& name : value) {
    in.require(name.is_string() && !name.get<std::string>().empty(), "target_modules", expected);
    names.push_back(name.get<std::string>());
  }
  return names;
}

}  // namespace

const std::vector<std::string> kLinearsOfLayer = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                  "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                  "mlp.down_proj"};

double LoraSettings::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (rslora ? std::sqrt(r) : r);
}

LoraSettings parse_adapter_config(std::string_view json_text) {
  const Json object = parse_object(json_text);
  const JsonObject in(object);
  in.require(in.text("peft_type") == "LORA", "peft_type", "\"LORA\"");
  in.require(in.number("lora_dropout", 0.0) == 0.0, "lora_dropout", "0");
  in.require(in.text("bias", "none") == "none", "bias", "\"none\"");
  // PiSSA, OLoRA and their like change the base weights, which the adapter alone does not tell.
  in.require(!in.has("init_lora_weights") || in.at("init_lora_weights").is_boolean() ||
                 in.at("init_lora_weights") == Json("gaussian"),
             "init_lora_weights", "true, false or \"gaussian\"");
  for (const auto& [key, value] : object.items())
    in.require(std::ranges::find(kKnown, key) != kKnown.end() || asks_for_nothing(value), key,
               "null, false or nothing (the step does not do it)");
  in.require(in.count("r") <= 1 << 16, "r", "at most 2^16");
  return {.rank = in.count("r"),
          .alpha = in.number("lora_alpha"),
          .rslora = in.flag("use_rslora", false),
          .target_modules = targets_of(in)};
}

std::string adapter_config_text(const LoraSettings& settings, const std::string& base_model) {
  const Json object = {{"peft_type", "LORA"},
                       {"task_type", "CAUSAL_LM"},
                       {"base_model_name_or_path", base_model.empty() ? Json(nullptr) : Json(base_model)},
                       {"r", settings.rank},
                       {"lora_alpha", settings.alpha},
                       {"use_rslora", settings.rslora},
                       {"target_modules", settings.target_modules},
                       {"lora_dropout", 0.0},
                       {"bias", "none"},
                       {"fan_in_fan_out", false},
                       {"init_lora_weights", true},
                       {"inference_mode", true}};
  return object.dump(2) + "\n";
}

std::set<std::string> targeted_linears(const LoraSettings& settings, std::int64_t layers) {
  std::set<std::string> meant, met;
  for (std::int64_t i = 0; i < layers; ++i)
    for (const std::string& linear : kLinearsOfLayer) {
      const std::string name = "model.layers." + std::to_string(i) + "." + linear;
      for (const std::string& target : settings.target_modules)
        if (name == target || name.ends_with("." + target))
          meant.insert(name), met.insert(target);
    }
  for (const std::string& target : settings.target_modules)
    if (!met.contains(target))
      throw std::invalid_argument("target_modules: expected names of a layer's linears, found '" + target +
                                  "'");
  return meant;
}

std::vector<float> TorchUniform::draw(std::int64_t count, float low, float high) {
  std::vector<float> values(static_cast<std::size_t>(count));
  // 24 of 32 bits, as at::uniform_real_distribution<float>, whose kernels for FMA machines fuse the sum.
  for (float& value : values)
    value = std::fma(static_cast<float>(bits_() & 0xff'ffffu) * 0x1p-24f, high - low, low);
  return values;
}

}  // namespace assay::kernels::compile::checkpoint
