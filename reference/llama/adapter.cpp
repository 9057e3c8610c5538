// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/adapter.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>

#include "reference/llama/adapter_config.hpp"
#include "reference/llama/json_fields.hpp"
#include "reference/llama/safetensors.hpp"

namespace assay::reference::llama {
namespace {

using at::Tensor;
constexpr std::string_view kPrefix = "base_model.model.";

std::string key_of(const std::string& linear, const char* part) {
  return std::string(kPrefix) + linear + "." + part + ".weight";
}

bool is_meant(const std::string& name, const std::string& target) {
  return name == target || name.ends_with("." + target);
}

/// Calls `visit` for every layer that `targets` mean; each target must mean one at least.
void for_each_target(Llama& model, const std::vector<std::string>& targets,
                     const std::function<void(const std::string&, Linear&)>& visit) {
  std::set<std::string> met;
  for_each_linear(model, [&](const std::string& name, Linear& linear) {
    bool meant = false;
    for (const std::string& target : targets)
      if (is_meant(name, target)) {
        met.insert(target);
        meant = true;
      }
    if (meant && linear.lora)
      throw std::invalid_argument("expected " + name + " without an adapter, found one");
    if (meant)
      visit(name, linear);
  });
  for (const std::string& target : targets)
    if (!met.contains(target))
      throw std::invalid_argument("target_modules: expected names of linear layers, found '" + target + "'");
}

/// PEFT saves the embeddings too when the head is a target; they must be the ones the model has.
bool is_base_weight(const Llama& model, const std::string& key, const Tensor& stored) {
  const auto same = [&](const Tensor& weight) {
    return weight.defined() && weight.sizes() == stored.sizes() &&
           at::equal(weight.cpu().to(stored.scalar_type()), stored);
  };
  if (key == std::string(kPrefix) + "model.embed_tokens.weight")
    return same(model.embedding);
  if (key == std::string(kPrefix) + "lm_head.base_layer.weight" ||
      key == std::string(kPrefix) + "lm_head.weight")
    return same(model.head.weight);
  return false;
}

class AdapterReader {
 public:
  AdapterReader(const std::filesystem::path& path, std::optional<at::ScalarType> type)
      : file_(path), type_(type) {}

  Tensor read(const std::string& key, const std::vector<std::int64_t>& shape, c10::Device device) {
    const Tensor stored = file_.read(key);
    if (!stored.is_floating_point() || stored.sizes() != shape) {
      std::ostringstream text;
      text << key << ": expected floating-point " << at::IntArrayRef(shape) << ", found "
           << stored.scalar_type() << " " << stored.sizes();
      throw std::invalid_argument(text.str());
    }
    used_.insert(key);
    return stored.to(device, type_.value_or(stored.scalar_type())).set_requires_grad(true);
  }

  void finish(const Llama& model) const {
    for (const std::string& key : file_.names())
      if (!used_.contains(key) && !is_base_weight(model, key, file_.read(key)))
        throw std::invalid_argument("expected tensors of the configured adapter, found '" + key +
                                    "' as well");
  }

 private:
  SafetensorsFile file_;
  std::optional<at::ScalarType> type_;
  std::set<std::string> used_;
};

}  // namespace

double LoraOptions::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (rslora ? std::sqrt(r) : r);
}

void add_lora(Llama& model, const LoraOptions& options, std::uint64_t seed, at::ScalarType type) {
  if (options.rank < 1)
    throw std::invalid_argument("expected a LoRA rank of at least 1, found " + std::to_string(options.rank));
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  for_each_target(model, options.target_modules, [&](const std::string&, Linear& linear) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(linear.columns()));
    const Tensor a =
        at::empty({options.rank, linear.columns()}, at::kFloat).uniform_(-bound, bound, generator);
    const Tensor b = at::zeros({linear.rows(), options.rank}, at::kFloat);
    linear.lora = Lora{a.to(linear.device(), type).set_requires_grad(true),
                       b.to(linear.device(), type).set_requires_grad(true), options.scale()};
  });
}

std::vector<NamedTensor> adapter_parameters(const Llama& model) {
  std::vector<NamedTensor> parameters;
  Llama shared = model;
  for_each_linear(shared, [&](const std::string& name, const Linear& linear) {
    if (!linear.lora)
      return;
    parameters.push_back({key_of(name, "lora_A"), linear.lora->a});
    parameters.push_back({key_of(name, "lora_B"), linear.lora->b});
  });
  return parameters;
}

void save_adapter(const Llama& model, const LoraOptions& options, const std::filesystem::path& folder) {
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, tensor] : adapter_parameters(model)) tensors[name] = tensor;
  if (tensors.empty())
    throw std::invalid_argument("expected a model with adapters, found none");
  std::filesystem::create_directories(folder);
  write_safetensors(folder / "adapter_model.safetensors", tensors);
  std::ofstream config(folder / "adapter_config.json", std::ios::trunc);
  config << adapter_config_text(options);
  if (!config.flush())
    throw std::runtime_error((folder / "adapter_config.json").string() +
                             ": expected to write it, found an error");
}

LoraOptions load_adapter(Llama& model, const std::filesystem::path& folder,
                         std::optional<at::ScalarType> type) {
  const auto config_path = folder / "adapter_config.json";
  const std::string text = read_text(config_path);
  LoraOptions options;
  try {
    options = parse_adapter_config(text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(config_path.string() + ": " + error.what());
  }
  AdapterReader reader(folder / "adapter_model.safetensors", type);
  Llama adapted = model;  // the caller's model stays as it was when something is wrong
  for_each_target(adapted, options.target_modules, [&](const std::string& name, Linear& linear) {
    linear.lora = Lora{reader.read(key_of(name, "lora_A"), {options.rank, linear.columns()}, linear.device()),
                       reader.read(key_of(name, "lora_B"), {linear.rows(), options.rank}, linear.device()),
                       options.scale()};
  });
  reader.finish(adapted);
  model = adapted;
  return options;
}

}  // namespace assay::reference::llama
