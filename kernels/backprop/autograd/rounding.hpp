// SPDX-License-Identifier: Apache-2.0
// From f32 to the types that products and callers take, each number rounded once.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backprop/autograd/chunk_derivative.hpp"

namespace assay::kernels::backprop {

/// `gradient` [R, V] f32 (f64) rounded once to chunk.gradient_type, rows that do not count as zeros whatever
/// they held; in chunk.gradient_place where that is defined. One pass over it on a GPU.
at::Tensor rounded_gradient(const at::Tensor& gradient, const MaskedChunk& chunk);

/// sum · factor (f32 / f64 scalar), computed in the factor's type and rounded once to `type`. One pass over
/// it on a GPU.
at::Tensor scaled(const at::Tensor& sum, const at::Tensor& factor, at::ScalarType type);

}  // namespace assay::kernels::backprop
