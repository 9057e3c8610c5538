// SPDX-License-Identifier: Apache-2.0
// Preference losses: functions of per-token log-probabilities, which linear_token_statistics gives. All f32,
// all differentiable by autograd; [B, T] are B sequences of T tokens, mask bool, true where a token counts.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/backprop/autograd/losses.hpp"

namespace assay::kernels::backprop {

/// Pairs lie as TRL keeps them: the first half of the batch chosen, the second half rejected.
struct PreferenceRows {
  at::Tensor tokens;  ///< int64 [2P, T]
  at::Tensor mask;    ///< bool [2P, T]
};

/// Rafailov et al. 2023. −mean logσ(β·((c − c_ref) − (r − r_ref))) with c, r the summed log-probabilities of
/// a pair; label_smoothing ε: (1−ε)·that + ε·the same with the sign of the margin turned (conservative DPO).
struct DpoOptions {
  double beta = 0.1;
  double label_smoothing = 0.0;
};
/// reference_logp: f32 [2P], summed over tokens.
at::Tensor linear_dpo(const at::Tensor& hidden, const LinearHead& head, const PreferenceRows& rows,
                      const at::Tensor& reference_logp, const DpoOptions& loss = {},
                      MemoryEfficientOptions options = {});

/// Hong et al. 2024. Token-mean NLL of the chosen + λ·(−mean logσ(log odds ratio)), with log-probabilities
/// averaged over tokens: log odds = (c − r) − (log(1 − exp c) − log(1 − exp r)).
struct OrpoOptions {
  double lambda = 0.1;
};
at::Tensor linear_orpo(const at::Tensor& hidden, const LinearHead& head, const PreferenceRows& rows,
                       const OrpoOptions& loss = {}, MemoryEfficientOptions options = {});

/// Meng et al. 2024. −mean logσ(β·(c − r) − γ), log-probabilities averaged over tokens; γ = gamma_beta_ratio
/// · β.
struct SimpoOptions {
  double beta = 2.0;
  double gamma_beta_ratio = 0.5;
  double label_smoothing = 0.0;
};
at::Tensor linear_simpo(const at::Tensor& hidden, const LinearHead& head, const PreferenceRows& rows,
                        const SimpoOptions& loss = {}, MemoryEfficientOptions options = {});

/// Ethayarajh et al. 2024. mean over sequences of w_d·(1 − σ(β·(lr − z0))) for desirable, w_u·(1 − σ(β·(z0 −
/// lr))) for undesirable ones, lr = Σ logp − reference; z0 a given estimate of the KL, no gradient.
struct KtoOptions {
  double beta = 0.1;
  double desirable_weight = 1.0, undesirable_weight = 1.0;
};
struct KtoRows {
  at::Tensor tokens, mask;    ///< [B, T]
  at::Tensor desirable;       ///< bool [B]
  at::Tensor reference_logp;  ///< f32 [B], summed over tokens
  at::Tensor kl;              ///< f32 scalar, ≥ 0
};
at::Tensor linear_kto(const at::Tensor& hidden, const LinearHead& head, const KtoRows& rows,
                      const KtoOptions& loss = {}, MemoryEfficientOptions options = {});

}  // namespace assay::kernels::backprop
