// SPDX-License-Identifier: Apache-2.0
// The list of a Llama's tensors, said once: name, shape, place.
#pragma once

#include <functional>

#include "reference/llama/model.hpp"

namespace assay::reference::llama {

struct WeightSource {
  std::function<at::Tensor(const std::string& name, std::int64_t size)> norm;
  std::function<at::Tensor(const std::string& name, std::int64_t rows, std::int64_t columns)> embedding;
  std::function<Linear(const std::string& name, std::int64_t rows, std::int64_t columns, bool bias)> linear;
};

/// Asks for every tensor of `config` once, in the order in which the model uses them.
Llama assemble(const LlamaConfig& config, const WeightSource& source);

}  // namespace assay::reference::llama
