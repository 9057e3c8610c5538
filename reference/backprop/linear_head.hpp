// SPDX-License-Identifier: Apache-2.0
// The last linear layer and its derivative, by the book:
//   x[n,v] = Σ_h hidden[n,h]·weight[v,h] + bias[v] + scale·Σ_r (Σ_h hidden[n,h]·a[r,h])·b[v,r]
// A loss supplies its value and g = ∂value/∂x; the chain rule from g to every tensor is here, once for all
// losses.
#pragma once

#include "reference/backprop/matrix.hpp"

namespace assay::reference::backprop {

struct Head {
  Matrix weight;             ///< [V, H]
  std::vector<double> bias;  ///< [V], or empty
  Matrix lora_a, lora_b;     ///< [rank, H], [V, rank], or both empty
  double lora_scale = 1.0;
};

/// Of one loss, times the upstream gradient. Empty where the head has no such tensor.
struct Gradients {
  Matrix hidden, weight;
  std::vector<double> bias;
  Matrix lora_a, lora_b;
};

/// [N, V] of hidden [N, H].
Matrix logits_of(const Matrix& hidden, const Head& head);

/// dlogits [N, V] = ∂value/∂x; every gradient is `upstream` times what that value gives.
Gradients backward(const Matrix& hidden, const Head& head, const Matrix& dlogits, double upstream);

/// What a loss is made of: the value and its derivative with respect to the raw logits x.
struct Loss {
  double value = 0.0;
  Matrix dlogits;  ///< [N, V]
};

}  // namespace assay::reference::backprop
