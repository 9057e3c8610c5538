// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/rope.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>

#include <numbers>

namespace assay::reference::llama {

using at::Tensor;

Tensor inverse_frequencies(const LlamaConfig& config) {
  const Tensor exponent = at::arange(0, config.head_dim, 2, at::kFloat) / config.head_dim;
  const Tensor plain = at::pow(at::Scalar(config.rope_theta), exponent).reciprocal();
  if (!config.rope_scaling)
    return plain;
  const auto& [factor, low, high, original] = *config.rope_scaling;
  const auto length = static_cast<double>(original);
  const Tensor wavelength = plain.reciprocal() * (2 * std::numbers::pi);  // as Python divides by a tensor
  const Tensor share_kept = (wavelength.reciprocal() * length - low) / (high - low);
  const Tensor between = (1 - share_kept) * plain / factor + share_kept * plain;
  const Tensor stretched = at::where(wavelength > length / low, plain / factor, between);
  return at::where(wavelength < length / high, plain, stretched);
}

Rotation rotation(const LlamaConfig& config, std::int64_t length, c10::Device device, at::ScalarType type) {
  const Tensor frequency = inverse_frequencies(config).to(device);
  const Tensor position = at::arange(length, frequency.options());
  const Tensor half = position.unsqueeze(1) * frequency.unsqueeze(0);
  const Tensor angle = at::cat({half, half}, 1);
  return {angle.cos().to(type), angle.sin().to(type)};
}

Tensor rotate(const Tensor& x, const Rotation& by) {
  const Tensor kept = x * by.cos;  // made first: gradients are summed in the order transformers sums them
  const auto halves = x.chunk(2, -1);
  return kept + at::cat({-halves[1], halves[0]}, -1) * by.sin;
}

}  // namespace assay::reference::llama
