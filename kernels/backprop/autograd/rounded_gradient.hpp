// SPDX-License-Identifier: Apache-2.0
// From the f32 gradient that autograd gives to what the products take.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backprop/autograd/chunk_derivative.hpp"

namespace assay::kernels::backprop {

/// `gradient` [R, V] f32 (f64) rounded once to chunk.gradient_type, rows that do not count as zeros whatever
/// they held; in chunk.gradient_place where that is defined. One pass over it on a GPU.
at::Tensor rounded_gradient(const at::Tensor& gradient, const MaskedChunk& chunk);

}  // namespace assay::kernels::backprop
