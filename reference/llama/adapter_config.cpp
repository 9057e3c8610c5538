// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/adapter_config.hpp"

#include <algorithm>
#include <array>

#include "reference/llama/json_fields.hpp"

namespace assay::reference::llama {
namespace {

using nlohmann::json;

/// Read below, or without influence on what an adapter computes once it is trained.
constexpr std::array<std::string_view, 17> kKnown = {"peft_type",
                                                     "peft_version",
                                                     "task_type",
                                                     "base_model_name_or_path",
                                                     "revision",
                                                     "auto_mapping",
                                                     "r",
                                                     "lora_alpha",
                                                     "use_rslora",
                                                     "target_modules",
                                                     "lora_dropout",
                                                     "bias",
                                                     "inference_mode",
                                                     "megatron_core",
                                                     "megatron_config",
                                                     "init_lora_weights",
                                                     "qalora_group_size"};

bool asks_for_nothing(const json& value) {
  return value.is_null() || value == json(false) || value == json(0) || value == json("") ||
         (value.is_structured() && value.empty());
}

std::vector<std::string> target_modules(const Fields& in) {
  if (!in.has("target_modules"))
    in.refuse("target_modules", "an array of layer names");
  const json& value = in.raw("target_modules");
  if (value == json("all-linear"))
    return LoraOptions().target_modules;
  std::vector<std::string> names;
  if (value.is_array())
    for (const json& name : value)
      if (name.is_string() && !name.get<std::string>().empty())
        names.push_back(name.get<std::string>());
  if (!value.is_array() || names.empty() || names.size() != value.size())
    in.refuse("target_modules", "an array of layer names, or \"all-linear\"");
  return names;
}

/// Initialisations that change the base weights (PiSSA, OLoRA, …) cannot be undone from the adapter alone.
void require_plain_start(const Fields& in) {
  if (!in.has("init_lora_weights"))
    return;
  const json& value = in.raw("init_lora_weights");
  if (!value.is_boolean() && value != json("gaussian"))
    in.refuse("init_lora_weights", "true, false or \"gaussian\"");
}

}  // namespace

LoraOptions parse_adapter_config(std::string_view json_text) {
  const json object = parse_object(json_text);
  const Fields in(object);
  if (in.text("peft_type") != "LORA")
    in.refuse("peft_type", "\"LORA\"");
  if (in.number("lora_dropout", 0.0) != 0.0)
    in.refuse("lora_dropout", "0");
  if (in.text("bias", "none") != "none")
    in.refuse("bias", "\"none\"");
  require_plain_start(in);
  for (const auto& [key, value] : object.items())
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end() && !asks_for_nothing(value))
      refuse_key(key, "null, false or nothing (not implemented)", value);
  return {.rank = in.positive("r"),
          .alpha = in.number("lora_alpha"),
          .rslora = in.flag("use_rslora", false),
          .target_modules = target_modules(in)};
}

std::string adapter_config_text(const LoraOptions& options) {
  const json object = {{"peft_type", "LORA"},
                       {"task_type", "CAUSAL_LM"},
                       {"base_model_name_or_path", nullptr},
                       {"r", options.rank},
                       {"lora_alpha", options.alpha},
                       {"use_rslora", options.rslora},
                       {"target_modules", options.target_modules},
                       {"lora_dropout", 0.0},
                       {"bias", "none"},
                       {"fan_in_fan_out", false},
                       {"init_lora_weights", true},
                       {"inference_mode", true}};
  return object.dump(2) + "\n";
}

}  // namespace assay::reference::llama
