// SPDX-License-Identifier: Apache-2.0
// Group-relative policy optimisation (Shao et al. 2024) as trainers compute it. Per token, with r = exp(new −
// old):
//   −min(min(r, delta)·A, clip(r, 1 − low, 1 + high)·A) + β·(exp(ref − new) − (ref − new) − 1)
// delta 0: no upper bound. Without old log-probabilities r is 1, and its derivative that of exp(new − new₀)
// at new₀ = new.
#pragma once

#include "reference/backprop/token_statistics.hpp"

namespace assay::reference::backprop {

enum class Normalization { kToken, kSequence, kDrGrpo };

struct Grpo {
  double clip_low = 0.2, clip_high = 0.2, delta = 0.0, kl_coefficient = 0.04;
  Normalization normalization = Normalization::kSequence;
  std::int64_t max_length = 0;  ///< of kDrGrpo; 0: T
};

/// B sequences of T tokens, rows b·T + t. Empty old_logp or reference_logp: none.
struct GrpoBatch {
  std::int64_t sequences = 0, length = 0;
  std::vector<bool> mask;                        ///< [B·T], true where a token counts
  std::vector<double> advantages;                ///< [B]
  std::vector<double> old_logp, reference_logp;  ///< [B·T]
};

TokenLoss grpo(const std::vector<double>& logp, const GrpoBatch& batch, const Grpo& options);

}  // namespace assay::reference::backprop
