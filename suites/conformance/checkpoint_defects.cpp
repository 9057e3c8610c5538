// SPDX-License-Identifier: Apache-2.0
// What a folder asks for and silently does not get: a scale, an adapter, a scaling of rope.

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numbers>

#include "kernels/compile/checkpoint/adapter_files.hpp"
#include "kernels/compile/checkpoint/llama_config.hpp"
#include "kernels/compile/step_program.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/paths.hpp"
#include "suites/conformance/temporary_folder.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {
namespace {

namespace fs = std::filesystem;
namespace ours = kernels::compile::checkpoint;
using Json = nlohmann::json;

// ---- rank-stabilized LoRA

using ScaleOf = std::function<double(const std::string& adapter_config)>;

double scale_of(const std::string& text) {
  return ours::parse_adapter_config(text).scale();
}
double alpha_over_rank(const std::string& text) {
  const Json config = Json::parse(text);
  return config["lora_alpha"].get<double>() / config["r"].get<double>();
}

void rslora_divides_by_the_root(const ScaleOf& scale) {
  const auto expect = [&](bool rslora, double wanted) {
    const std::string config = ours::adapter_config_text({.rank = 16, .alpha = 32.0, .rslora = rslora}, "");
    const double found = answer([&] { return scale(config); });
    demand(found == wanted, text("a scale of ", wanted, " with use_rslora ", rslora), text(found));
  };
  expect(false, 2.0);
  expect(true, 8.0);
}

// ---- adapters that are not there

kernels::compile::Program program() {
  kernels::compile::StepOptions options;
  options.shape = {.layers = 2,
                   .hidden = 8,
                   .intermediate = 12,
                   .heads = 2,
                   .kv_heads = 1,
                   .head_dim = 4,
                   .vocab = 5,
                   .lora_rank = 3};
  options.tokens = 4, options.sequences = 1;
  return kernels::compile::step_program(options);
}

using LoadAdapter = std::function<void(const fs::path& folder)>;

void load_adapter(const fs::path& folder) {
  ours::stored_adapters(folder, ours::targeted_linears({}, 2), program());
}
/// load_state_dict(strict=False), and nobody reads what it returns.
void load_what_fits(const fs::path& folder) {
  try {
    load_adapter(folder);
  } catch (const std::invalid_argument&) {
    return;
  }
}

/// The adapter of `program()`, in PEFT's names.
std::map<std::string, ours::TensorToStore> adapter() {
  std::map<std::string, ours::TensorToStore> out;
  for (const kernels::compile::Buffer& buffer : program().buffers) {
    if (buffer.role != kernels::compile::Role::kAdapter)
      continue;
    for (const ours::AdapterPart& part : ours::parts_of_adapter(buffer))
      out[part.key()] = {{part.rows, part.columns},
                         std::vector<float>(static_cast<std::size_t>(part.rows * part.columns), 0.5f)};
  }
  return out;
}

void every_tensor_is_wanted_and_there(const LoadAdapter& load) {
  const TemporaryFolder folder;
  const auto stored_as = [&](const std::map<std::string, ours::TensorToStore>& tensors) {
    ours::store(folder.path() / "adapter_model.safetensors", tensors);
  };
  const std::string key = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight";
  auto tensors = adapter();
  stored_as(tensors);
  answer([&] { load(folder.path()); });
  const auto part = tensors.extract(key);
  stored_as(tensors);
  demand_refusal("an adapter without " + key, [&] { load(folder.path()); });
  tensors["base_model.model.model.layers.1.mlp.up_proj.lora_B.default_0.weight"] = part.mapped();
  stored_as(tensors);
  demand_refusal("an adapter with a key that no layer has", [&] { load(folder.path()); });
}

// ---- Llama 3.1's rope

using Frequencies = std::function<std::vector<float>(const std::string& config)>;

std::vector<float> frequencies(const std::string& text) {
  return ours::rope_frequencies(ours::parse_llama_config(text));
}
std::vector<float> unscaled_frequencies(const std::string& text) {
  Json config = Json::parse(text);
  config.erase("rope_scaling");
  return frequencies(config.dump());
}

void llama3_scales_low_frequencies(const Frequencies& of) {
  constexpr double kFactor = 32.0, kTheta = 5e5;
  constexpr int kHead = 64, kOriginal = 8192;
  const Json config = {{"architectures", {"LlamaForCausalLM"}},
                       {"model_type", "llama"},
                       {"hidden_act", "silu"},
                       {"hidden_size", 2048},
                       {"intermediate_size", 8192},
                       {"num_hidden_layers", 16},
                       {"num_attention_heads", 32},
                       {"num_key_value_heads", 8},
                       {"head_dim", kHead},
                       {"rms_norm_eps", 1e-5},
                       {"vocab_size", 128256},
                       {"tie_word_embeddings", true},
                       {"rope_theta", kTheta},
                       {"rope_scaling",
                        {{"rope_type", "llama3"},
                         {"factor", kFactor},
                         {"low_freq_factor", 1.0},
                         {"high_freq_factor", 4.0},
                         {"original_max_position_embeddings", kOriginal}}}};
  const std::vector<float> found = answer([&] { return of(config.dump()); });
  demand(found.size() == kHead / 2, "32 frequencies", text(found.size()));
  for (int i = 0; i < kHead / 2; ++i) {
    const double plain = std::pow(kTheta, -2.0 * i / kHead),
                 turns = kOriginal * plain / (2.0 * std::numbers::pi);
    const double kept = std::clamp((turns - 1.0) / 3.0, 0.0, 1.0);  // low_freq_factor 1 to high_freq_factor 4
    const double wanted = kept * plain + (1.0 - kept) * plain / kFactor;
    demand(std::abs(found[i] - wanted) <= 1e-6 * wanted, text("frequency ", i, " of ", wanted),
           text(found[i]));
  }
}

}  // namespace

std::vector<Defect> checkpoint_defects() {
  return {defect({"sgl-project/sglang", 40835,
                  "use_rslora is ignored: adapters are the root of their rank too weak", kCheckpointFiles},
                 scale_of, alpha_over_rank, rslora_divides_by_the_root),
          defect({"huggingface/transformers", 34068,
                  "an adapter whose tensors are missing loads without a word", kCheckpointFiles},
                 load_adapter, load_what_fits, every_tensor_is_wanted_and_there),
          defect({"unslothai/unsloth", 6197, "Llama 3.1's scaling of rope is dropped", kCheckpointFiles},
                 frequencies, unscaled_frequencies, llama3_scales_low_frequencies)};
}

}  // namespace assay::suites::conformance
