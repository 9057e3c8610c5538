// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding in Hugging Face's convention: dimension i turns with dimension i + head_dim / 2.
#pragma once

#include <ATen/core/Tensor.h>

#include "reference/llama/config.hpp"

namespace assay::reference::llama {

/// f32 [head_dim / 2] on the CPU: theta^(−2i / head_dim), with Llama 3.1's scaling where the config has it:
/// wavelengths above original / low_freq_factor are stretched by `factor`, those below original /
/// high_freq_factor are kept, and between the two the share of the kept frequency grows linearly with
/// original / wavelength.
at::Tensor inverse_frequencies(const LlamaConfig& config);

/// cos and sin of position · frequency, [length, head_dim] in `type` (the angles are f32).
struct Rotation {
  at::Tensor cos, sin;
};
Rotation rotation(const LlamaConfig& config, std::int64_t length, c10::Device device, at::ScalarType type);

/// x [batch, heads, length, head_dim]
at::Tensor rotate(const at::Tensor& x, const Rotation& by);

}  // namespace assay::reference::llama
