// SPDX-License-Identifier: Apache-2.0
// The formulas of kernels/llama in f64 by torch, for f64 tensors: what gradcheck differentiates numerically.
// The kernels themselves are f32 inside.
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::kernels::torch::f64 {

using at::Tensor;

/// h [N, H], weight [H] → rstd [N, 1], y.
struct Norm {
  Tensor y, rstd;
};
Norm rms_norm(const Tensor& h, const Tensor& weight, double eps);
/// dsum undefined: none. Gradients of h and of the weight.
struct NormGradients {
  Tensor dh, dw;
};
NormGradients rms_norm_backward(const Tensor& h, const Tensor& weight, const Tensor& rstd, const Tensor& dy,
                                const Tensor& dsum);

/// x [B, L, heads, D], angles [B, L, 1, D/2].
Tensor rotated(const Tensor& x, const Tensor& angles, bool backward);

Tensor swiglu(const Tensor& gate, const Tensor& up);
struct SwigluGradients {
  Tensor dgate, dup;
};
SwigluGradients swiglu_backward(const Tensor& dy, const Tensor& gate, const Tensor& up);

}  // namespace assay::kernels::torch::f64
