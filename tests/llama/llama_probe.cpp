// SPDX-License-Identifier: Apache-2.0
// Runs reference/llama on a model folder, for comparison with other implementations:
//   llama_probe MODEL TOKENS.safetensors OUT.safetensors [--adapter FOLDER [--adapter-type=stored]]
//               [--new-adapter FOLDER] [--train-head]
// TOKENS holds `tokens` and `labels`, int64 [B, T]. OUT gets `logits`, `loss`, `states` and `gradient.<name>`
// of every adapter tensor (and of the head). --adapter reads a PEFT folder; --new-adapter makes an adapter
// (rank 3, B random too) and saves it there. Without arguments every line of standard input is one such list.
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/llama/adapter.hpp"
#include "reference/llama/load.hpp"
#include "reference/llama/safetensors.hpp"

namespace {

using namespace assay::reference::llama;

struct Arguments {
  std::vector<std::string> paths;
  std::optional<std::string> adapter, new_adapter;
  bool stored_type = false, train_head = false;
};

Arguments parse(std::istream& words) {
  Arguments arguments;
  std::string word;
  while (words >> word) {
    if (word == "--adapter" || word == "--new-adapter")
      words >> (word == "--adapter" ? arguments.adapter : arguments.new_adapter).emplace();
    else if (word == "--adapter-type=stored")
      arguments.stored_type = true;
    else if (word == "--train-head")
      arguments.train_head = true;
    else
      arguments.paths.push_back(word);
  }
  if (arguments.paths.size() != 3)
    throw std::invalid_argument("expected MODEL TOKENS OUT, found " + std::to_string(arguments.paths.size()) +
                                " paths");
  return arguments;
}

/// Every target; B is random as well, so that A has a gradient.
void make_adapter(Llama& model, const std::string& folder) {
  const LoraOptions options{.rank = 3, .alpha = 7};
  add_lora(model, options, 11);
  for (const auto& [name, tensor] : adapter_parameters(model))
    if (name.ends_with("lora_B.weight"))
      tensor.detach().normal_(0, 0.05);
  save_adapter(model, options, folder);
}

void run(const Arguments& arguments) {
  Llama model = load_llama(arguments.paths[0]);
  if (arguments.adapter)
    load_adapter(model, *arguments.adapter,
                 arguments.stored_type ? std::nullopt : std::optional(scalar_type(FloatType::kFloat32)));
  if (arguments.new_adapter)
    make_adapter(model, *arguments.new_adapter);
  if (arguments.train_head)
    model.head.weight.set_requires_grad(true);

  const SafetensorsFile input(arguments.paths[1]);
  const auto states = model.hidden_states(input.read("tokens"));
  const auto logits = model.head(states);
  const auto loss = causal_loss(logits, input.read("labels"));
  auto parameters = adapter_parameters(model);
  if (arguments.train_head)
    parameters.push_back({"lm_head.weight", model.head.weight});
  if (!parameters.empty())
    loss.backward();

  std::map<std::string, at::Tensor> out = {{"states", states}, {"logits", logits}, {"loss", loss}};
  for (const auto& [name, tensor] : parameters) out["gradient." + name] = tensor.grad();
  write_safetensors(arguments.paths[2], out);
}

}  // namespace

int main(int count, char** words) {
  try {
    if (count > 1) {
      std::stringstream line;
      for (int i = 1; i < count; ++i) line << words[i] << ' ';
      run(parse(line));
      return 0;
    }
    for (std::string text; std::getline(std::cin, text);) {
      std::istringstream line(text);
      run(parse(line));
    }
  } catch (const std::exception& error) {
    std::cerr << "llama_probe: " << error.what() << "\n";
    return 2;
  }
  return 0;
}
