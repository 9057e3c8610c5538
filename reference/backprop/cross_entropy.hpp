// SPDX-License-Identifier: Apache-2.0
// Cross entropy as torch.nn.functional.cross_entropy defines its mean, plus z-loss. With ε the smoothing and
// w the class weights (1 without):
//   row(t) = (1−ε)·w_t·(lse − z_t) + ε/V·Σ_v w_v·(lse − z_v) + z_loss·lse²
//   value  = Σ row / Σ w_label over rows that count
// Against distributions t_v: row = Σ_v w_v·((1−ε)·t_v + ε/V)·(lse − z_v) + z_loss·lse², value = Σ row / N.
#pragma once

#include "reference/backprop/linear_head.hpp"
#include "reference/backprop/softmax.hpp"

namespace assay::reference::backprop {

struct CrossEntropy {
  Transform transform = {};
  std::int64_t ignore_index = -100;
  double label_smoothing = 0.0, z_loss = 0.0;
  std::vector<double> class_weight = {};  ///< [V], or empty
};

/// Rows whose label is ignore_index have no part in it. No such row at all: value and gradients are 0.
Loss cross_entropy(const Matrix& logits, const std::vector<std::int64_t>& labels,
                   const CrossEntropy& options);
/// targets [N, V].
Loss cross_entropy_soft(const Matrix& logits, const Matrix& targets, const CrossEntropy& options);

}  // namespace assay::reference::backprop
