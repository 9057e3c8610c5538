// SPDX-License-Identifier: Apache-2.0
// Preference losses as functions of the tokens' log-probabilities. Pairs: sequences [0, B/2) chosen, [B/2, B)
// rejected, pair i being (i, B/2 + i). c, r: a pair's log-probabilities, summed or averaged over the tokens
// that count.
//   DPO    −(1−ε)·logσ(m) − ε·logσ(−m),  m = β·((c − c_ref) − (r − r_ref)), sums                  (Rafailov
//   et al. 2023) SimPO  the same with m = β·(c − r) − γ·β, averages (Meng et al. 2024) ORPO   −Σ chosen logp
//   / chosen tokens − λ·mean logσ(c − r − log(1 − eᶜ) + log(1 − eʳ)), averages (Hong et al. 2024) KTO w_d·(1
//   − σ(β·(l − z₀))) or w_u·(1 − σ(β·(z₀ − l))), l = sum − reference                 (Ethayarajh et al. 2024)
// All are means over pairs (KTO: sequences).
#pragma once

#include "reference/backprop/token_statistics.hpp"

namespace assay::reference::backprop {

struct Sequences {
  std::int64_t count = 0, length = 0;
  std::vector<bool> mask;  ///< [count·length], true where a token counts
};

TokenLoss dpo(const std::vector<double>& logp, const Sequences& sequences,
              const std::vector<double>& reference_logp, double beta, double label_smoothing);
TokenLoss simpo(const std::vector<double>& logp, const Sequences& sequences, double beta,
                double gamma_beta_ratio, double label_smoothing);
TokenLoss orpo(const std::vector<double>& logp, const Sequences& sequences, double lambda);

struct Kto {
  double beta = 0.1, desirable_weight = 1.0, undesirable_weight = 1.0;
};
TokenLoss kto(const std::vector<double>& logp, const Sequences& sequences, const std::vector<bool>& desirable,
              const std::vector<double>& reference_logp, double kl, const Kto& options);

}  // namespace assay::reference::backprop
