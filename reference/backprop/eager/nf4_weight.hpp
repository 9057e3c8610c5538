// SPDX-License-Identifier: Apache-2.0
// A 4-bit weight as tensor operations: what a QLoRA head is decoded to before the plain layer uses it.
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::reference::backprop::eager {

/// [vocab, hidden] of `type` from packed u8 (high nibble first), absmax f32 of every `block_size` weights,
/// code f32 [16]. The product is f32 (f64 for f64), rounded once.
at::Tensor four_bit_weight(const at::Tensor& packed, const at::Tensor& absmax, const at::Tensor& code,
                           std::int64_t vocab, std::int64_t hidden, at::ScalarType type,
                           std::int64_t block_size = 64);

}  // namespace assay::reference::backprop::eager
