// SPDX-License-Identifier: Apache-2.0
// The fast paths of losses.hpp's two work horses: same arguments, same results, gradients written by hand in
// one pass over each chunk of logits. f16, bf16 and f32; f64 is left to the general path. On a GPU logits are
// rounded to the hidden states' 16 bits (as the plain layer rounds them) unless there is a bias; everything
// after that is f32.
#pragma once

#include "kernels/backprop/autograd/losses.hpp"

namespace assay::kernels::backprop {

at::Tensor fused_linear_cross_entropy(const at::Tensor& hidden, const LinearHead& head,
                                      const at::Tensor& labels, const CrossEntropyOptions& loss = {},
                                      MemoryEfficientOptions options = {});

at::Tensor fused_linear_token_statistics(const at::Tensor& hidden, const LinearHead& head,
                                         const at::Tensor& tokens, LogitTransform transform = {},
                                         MemoryEfficientOptions options = {});

}  // namespace assay::kernels::backprop
