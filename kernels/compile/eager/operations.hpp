// SPDX-License-Identifier: Apache-2.0
// The operations of program.hpp in torch words: f32 inside, each result rounded once into the tensor it is
// given.
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::kernels::compile::eager {

/// out = alpha · a·b + beta · out
void multiply(const at::Tensor& a, const at::Tensor& b, at::Tensor out, double alpha, double beta);
void rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, at::Tensor y, at::Tensor rstd);
/// dx = gradient of rms_norm [+ more]
void rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                       const at::Tensor& weight, const at::Tensor& more, at::Tensor dx);
/// Half-split pairs, in place; x [T, heads · D].
void rope(at::Tensor x, const at::Tensor& positions, const at::Tensor& frequencies, bool reversed);
void swiglu(const at::Tensor& gate, const at::Tensor& up, at::Tensor out);
void swiglu_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& upstream,
                     at::Tensor dgate, at::Tensor dup);

struct AttentionTensors {
  at::Tensor q, k, v;     ///< [T, heads · D], [T, kv_heads · D]
  at::Tensor o, lse;      ///< [T, heads · D], [T, heads]
  at::Tensor boundaries;  ///< int32 [sequences + 1]
};
void attention(const AttentionTensors& t, std::int64_t head_dim);
void attention_backward(const AttentionTensors& t, std::int64_t head_dim, const at::Tensor& d_o,
                        at::Tensor dq, at::Tensor dk, at::Tensor dv);

/// Mean over labels other than −100; no such label: loss and gradient 0.
void head_loss(const at::Tensor& h, const at::Tensor& head, const at::Tensor& labels, at::Tensor loss,
               at::Tensor dh);

struct AdamWTensors {
  at::Tensor parameter, mean, square, copy;
};
void adamw(const at::Tensor& gradient, const at::Tensor& square_sum, const at::Tensor& settings,
           const AdamWTensors& t);

}  // namespace assay::kernels::compile::eager
