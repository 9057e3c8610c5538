// SPDX-License-Identifier: Apache-2.0
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "reference/llama/assemble.hpp"
#include "reference/llama/load.hpp"

namespace assay::reference::llama {

Llama random_llama(const LlamaConfig& config, std::uint64_t seed, const Placement& placement) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  const auto options =
      at::TensorOptions().device(placement.device).dtype(scalar_type(placement.dtype.value_or(config.dtype)));
  const auto matrix = [&](const std::string&, std::int64_t rows, std::int64_t columns) {
    const at::Tensor numbers =
        at::empty({rows, columns}, at::kFloat).normal_(0, config.initializer_range, generator);
    return numbers.to(options);
  };
  return assemble(config,
                  {.norm = [&](const std::string&, std::int64_t size) { return at::ones({size}, options); },
                   .embedding = matrix,
                   .linear =
                       [&](const std::string& name, std::int64_t rows, std::int64_t columns, bool bias) {
                         Linear linear;
                         linear.weight = matrix(name, rows, columns);
                         if (bias)
                           linear.bias = at::zeros({rows}, options);
                         return linear;
                       }});
}

}  // namespace assay::reference::llama
