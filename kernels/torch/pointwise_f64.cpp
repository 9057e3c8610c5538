// SPDX-License-Identifier: Apache-2.0
#include "kernels/torch/pointwise_f64.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sigmoid.h>

namespace assay::kernels::torch::f64 {

Norm rms_norm(const Tensor& h, const Tensor& weight, double eps) {
  const Tensor rstd = at::rsqrt(h.square().mean(1, /*keepdim=*/true) + eps);
  return {h * rstd * weight, rstd};
}

NormGradients rms_norm_backward(const Tensor& h, const Tensor& weight, const Tensor& rstd, const Tensor& dy,
                                const Tensor& dsum) {
  const Tensor unit = h * rstd, g = dy * weight;
  const Tensor dh = rstd * (g - unit * (g * unit).mean(1, /*keepdim=*/true));
  return {dsum.defined() ? dh + dsum : dh, (dy * unit).sum(0)};
}

Tensor rotated(const Tensor& x, const Tensor& angles, bool backward) {
  const std::int64_t half = x.size(3) / 2;
  const Tensor cos = angles.cos(), sin = backward ? -angles.sin() : angles.sin();
  const Tensor low = x.narrow(3, 0, half), high = x.narrow(3, half, half);
  return at::cat({low * cos - high * sin, high * cos + low * sin}, 3).contiguous();
}

Tensor swiglu(const Tensor& gate, const Tensor& up) {
  return gate * at::sigmoid(gate) * up;
}

SwigluGradients swiglu_backward(const Tensor& dy, const Tensor& gate, const Tensor& up) {
  const Tensor sigmoid = at::sigmoid(gate);
  return {dy * up * sigmoid * (1 + gate * (1 - sigmoid)), dy * gate * sigmoid};
}

}  // namespace assay::kernels::torch::f64
