// SPDX-License-Identifier: Apache-2.0
// Pieces that several losses share; each differentiable by autograd.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backprop/softmax_pass.hpp"

namespace assay::kernels::backprop {

/// logits [R, V] after soft-cap and temperature.
at::Tensor transformed(const at::Tensor& logits, const LogitTransform& transform);
/// log softmax(z)[r, tokens[r]], [R].
at::Tensor token_logprob(const at::Tensor& z, const at::Tensor& tokens);

}  // namespace assay::kernels::backprop
