// SPDX-License-Identifier: Apache-2.0
// The pointwise pieces of a Llama layer as transformers writes them: one torch operation after the other, each result
// rounded to its type, and the operations that autograd runs for them backward. The last operation of each writes into
// the given output, which torch's own returns would only add a copy to.
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::reference::compile::eager {

using at::Tensor;

/// LlamaRMSNorm.forward after the residual sum of LlamaDecoderLayer. x [N, H], residual [N, H] or undefined (then
/// `sum` is not written), weight [H]; y, sum [N, H], rstd f32 [N].
struct NormOutputs {
  Tensor y, sum, rstd;
};
void rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps, const NormOutputs& to);

/// Its gradients from what the forward pass kept: h (x, or the sum), rstd. dsum [N, H] reaches h past the norm, or is
/// undefined; dw [H] is not made where it is undefined.
void rms_norm_backward(const Tensor& h, const Tensor& weight, const Tensor& rstd, const Tensor& dy, const Tensor& dsum,
                       const Tensor& dh, const Tensor& dw);

/// apply_rotary_pos_emb of one tensor: x [N, heads, d], cos and sin [N, d] in x's type, as LlamaRotaryEmbedding makes
/// them once a step for all layers.
void rotate(const Tensor& x, const Tensor& cos, const Tensor& sin, const Tensor& out);
void rotate_backward(const Tensor& dout, const Tensor& cos, const Tensor& sin, const Tensor& dx);

/// act_fn(gate) * up of LlamaMLP.
void swiglu(const Tensor& gate, const Tensor& up, const Tensor& y);
/// From gate and up alone: silu(gate) is made once more, as where activations are not kept. `y` undefined: not wanted.
void swiglu_backward(const Tensor& gate, const Tensor& up, const Tensor& dy, const Tensor& dgate, const Tensor& dup,
                     const Tensor& y);

}  // namespace assay::reference::compile::eager
