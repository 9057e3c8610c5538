// SPDX-License-Identifier: Apache-2.0
// Log-probability of a row's token, entropy and log-sum-exp, and the chain rule from upstream gradients of
// the three:
//   ∂logp_t/∂z_v = [v = t] − p_v,   ∂H/∂z_v = −p_v·(log p_v + H),   ∂lse/∂z_v = p_v
#pragma once

#include "reference/backprop/linear_head.hpp"
#include "reference/backprop/softmax.hpp"

namespace assay::reference::backprop {

/// [N, 3]: logp, entropy, lse. Rows with a negative token are all 0.
Matrix token_statistics(const Matrix& logits, const std::vector<std::int64_t>& tokens,
                        const Transform& transform);
/// dlogits [N, V] of Σ upstream ∘ statistics, upstream [N, 3]; 0 in rows with a negative token.
Matrix token_statistics_backward(const Matrix& logits, const std::vector<std::int64_t>& tokens,
                                 const Transform& transform, const Matrix& upstream);

/// What GRPO and the preference losses are: a function of the tokens' log-probabilities.
struct TokenLoss {
  double value = 0.0;
  std::vector<double> dlogp;  ///< [N] ∂value/∂logp
};
/// The same with respect to the logits.
Loss through_logp(const Matrix& logits, const std::vector<std::int64_t>& tokens, const Transform& transform,
                  const TokenLoss& loss);
/// First column of `token_statistics`.
std::vector<double> token_logp(const Matrix& logits, const std::vector<std::int64_t>& tokens,
                               const Transform& transform);

}  // namespace assay::reference::backprop
