// SPDX-License-Identifier: Apache-2.0
#include "reference/compile/eager/pointwise.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <ATen/ops/sum.h>

namespace assay::reference::compile::eager {
namespace {

/// Outputs are passed as const references that name their storage.
Tensor& out(const Tensor& tensor) {
  return const_cast<Tensor&>(tensor);
}

}  // namespace

void rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps, const NormOutputs& to) {
  if (residual.defined())
    at::add_out(out(to.sum), x, residual);
  const Tensor h = (residual.defined() ? to.sum : x).to(at::kFloat);
  const Tensor variance = h.pow(2).mean(-1, /*keepdim=*/true);
  const Tensor rstd = to.rstd.unsqueeze(-1);
  at::rsqrt_out(out(rstd), variance + eps);
  at::mul_out(out(to.y), weight, (h * rstd).to(x.scalar_type()));
}

void rms_norm_backward(const Tensor& h, const Tensor& weight, const Tensor& rstd, const Tensor& dy, const Tensor& dsum,
                       const Tensor& dh, const Tensor& dw) {
  const Tensor r = rstd.unsqueeze(-1), unit = h.to(at::kFloat) * r;
  if (dw.defined())
    at::sum_out(out(dw), dy * unit.to(dy.scalar_type()), at::IntArrayRef{0});
  const Tensor g = (dy * weight).to(at::kFloat);
  const Tensor through = (r * (g - unit * (g * unit).mean(-1, /*keepdim=*/true))).to(dy.scalar_type());
  if (dsum.defined())
    at::add_out(out(dh), through, dsum);
  else
    dh.copy_(through);
}

void rotate(const Tensor& x, const Tensor& cos, const Tensor& sin, const Tensor& to) {
  const Tensor kept = x * cos.unsqueeze(1);
  const auto halves = x.chunk(2, -1);
  at::add_out(out(to), kept, at::cat({-halves[1], halves[0]}, -1) * sin.unsqueeze(1));
}

void rotate_backward(const Tensor& dout, const Tensor& cos, const Tensor& sin, const Tensor& dx) {
  const Tensor kept = dout * cos.unsqueeze(1);
  const auto halves = (dout * sin.unsqueeze(1)).chunk(2, -1);
  at::add_out(out(dx), kept, at::cat({halves[1], -halves[0]}, -1));
}

void swiglu(const Tensor& gate, const Tensor& up, const Tensor& y) {
  at::mul_out(out(y), at::silu(gate), up);
}

void swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& dy, const Tensor& dgate, const Tensor& dup,
                     const Tensor& y) {
  const Tensor act = at::silu(gate);
  if (y.defined())
    at::mul_out(out(y), act, up);
  at::mul_out(out(dup), dy, act);
  at::silu_backward_out(out(dgate), dy * up, gate);
}

}  // namespace assay::reference::compile::eager
