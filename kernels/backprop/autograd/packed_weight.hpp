// SPDX-License-Identifier: Apache-2.0
// A 4-bit weight as tensors, checked and decoded by the nf4 kernels.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backprop/autograd/linear_head.hpp"

namespace assay::kernels::backprop {

/// Throws c10::Error saying what does not fit: types, sizes, devices, the hidden states' width.
void check_packed(const PackedWeight& weight, const at::Tensor& hidden);
/// [V, H] in `type` (f16, bf16, f32; f64 through f32), bit-exact to bitsandbytes.
at::Tensor unpack(const PackedWeight& weight, at::ScalarType type);

}  // namespace assay::kernels::backprop
