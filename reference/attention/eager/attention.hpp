// SPDX-License-Identifier: Apache-2.0
// Attention as transformers' eager_attention_forward writes it: the whole matrix of scores in the tensors'
// own type, softmax in f32, probabilities rounded to that type again. With f64 tensors nothing is rounded,
// and what remains are the formulas of reference/attention/attention.hpp.
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::reference::attention::eager {

using at::Tensor;

/// What happens between q·kᵀ and the softmax, in this order, each step rounded to the tensors' type:
/// x = scale · q·kᵀ; softcap · tanh(x / softcap); + slopes[h] · (j − i); −∞ where not visible.
struct Scores {
  double scale = 1.0;
  double softcap = 0.0;  ///< 0: none
  Tensor slopes = {};    ///< [h]; undefined: none
  Tensor visible = {};   ///< bool [n, m]; undefined: everything. Every query must see a key.
};

/// o as q; lse [h, n], f32 (f64 of f64 tensors), natural logarithm.
struct Output {
  Tensor o, lse;
};
/// One sequence: q [h, n, d] on k, v [g, m, d], query head i on key head i / (h / g).
Output forward(const Tensor& q, const Tensor& k, const Tensor& v, const Scores& scores);

/// Scores x [h, n, m] in the tensors' type, and ∂x/∂(scale · q·kᵀ); undefined: 1.
struct MadeScores {
  Tensor x, slope;
};
MadeScores scores_of(const Tensor& q, const Tensor& k, const Scores& scores);

/// Of Σ o·d_o, with the scores made again, as autograd would keep them.
struct Gradients {
  Tensor q, k, v;
};
Gradients backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& d_o,
                   const Scores& scores);
/// The same through scores that are there.
Gradients backward_through(const MadeScores& made, const Tensor& q, const Tensor& k, const Tensor& v,
                           const Tensor& d_o, double scale);

}  // namespace assay::reference::attention::eager
