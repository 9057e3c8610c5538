// SPDX-License-Identifier: Apache-2.0
// Losses written as functions of a chunk of f32 logits: plain tensor code, differentiated by autograd,
// nothing by hand. Notation: z logits after temperature and soft-cap, lse = log Σ_v exp z_v, logp_v = z_v −
// lse, p = exp logp.
#pragma once

#include "kernels/backprop/autograd/memory_efficient_linear.hpp"
#include "kernels/backprop/softmax_pass.hpp"

namespace assay::kernels::backprop {

struct CrossEntropyOptions {
  LogitTransform transform = {};
  std::int64_t ignore_index = -100;
  double label_smoothing = 0.0;  ///< torch.nn.functional.cross_entropy's definition, class weights included
  double z_loss = 0.0;           ///< + z_loss · lse²
  at::Tensor class_weight = {};  ///< f32 [V]; the mean then divides by Σ weight[label] over rows that count
};

/// The row functions behind the losses below, for calls of memory_efficient_linear of one's own: the chunk's
/// first row argument holds labels or distributions (tokens, negative ones read as 0).
RowFunction cross_entropy_rows(const CrossEntropyOptions& loss);
RowFunction token_statistics_rows(LogitTransform transform);

/// Cross entropy, hidden [..., H], labels int64 [...]; rows whose label is ignore_index do not count.
at::Tensor linear_cross_entropy(const at::Tensor& hidden, const LinearHead& head, const at::Tensor& labels,
                                const CrossEntropyOptions& loss = {}, MemoryEfficientOptions options = {});
/// Against distributions: targets f32 (or hidden's type) [..., V], each row summing to 1. Label smoothing and
/// class weights as in torch.nn.functional.cross_entropy with probabilities.
at::Tensor linear_cross_entropy_soft(const at::Tensor& hidden, const LinearHead& head,
                                     const at::Tensor& targets, const CrossEntropyOptions& loss = {},
                                     MemoryEfficientOptions options = {});

/// f32 [...]: log-probability of the row's token, differentiable; 0 where the token is negative (such rows do
/// not count). What DPO, KTO, PPO and the like are made of.
at::Tensor linear_token_logprob(const at::Tensor& hidden, const LinearHead& head, const at::Tensor& tokens,
                                LogitTransform transform = {}, MemoryEfficientOptions options = {});

/// f32 [..., 3]: the same log-probability, the entropy −Σ p logp, lse.
at::Tensor linear_token_statistics(const at::Tensor& hidden, const LinearHead& head, const at::Tensor& tokens,
                                   LogitTransform transform = {}, MemoryEfficientOptions options = {});

/// Mean over rows of Σ_v (logits_v − targets_v)² / V; targets [N, V].
at::Tensor linear_mse(const at::Tensor& hidden, const LinearHead& head, const at::Tensor& targets,
                      MemoryEfficientOptions options = {});

struct DistillationOptions {
  double temperature = 1.0;  ///< of both; the loss is multiplied by temperature²
  /// Generalised Jensen-Shannon (Agarwal et al. 2024, GKD): M = β·teacher + (1−β)·student,
  /// JSD = β·KL(teacher‖M) + (1−β)·KL(student‖M). 0: KL(teacher‖student), 1: KL(student‖teacher).
  double beta = 0.0;
};
/// Distillation against a teacher head that is streamed beside the student's; all in f32.
at::Tensor linear_distillation(const at::Tensor& hidden, const LinearHead& head, const Teacher& teacher,
                               const DistillationOptions& loss = {}, MemoryEfficientOptions options = {});

enum class GrpoNormalization {
  kToken,     ///< Σ tokens / number of tokens (bnpo, DAPO)
  kSequence,  ///< mean over sequences of the mean over their tokens (the paper's)
  kDrGrpo,    ///< Σ tokens / (sequences · max_length)
};
struct GrpoOptions {
  LogitTransform transform = {};
  double clip_low = 0.2, clip_high = 0.2;  ///< ratio kept in [1 − clip_low, 1 + clip_high]
  double delta = 0.0;                      ///< > 0: upper bound on the unclipped ratio (two-sided clipping)
  double kl_coefficient = 0.04;  ///< β of the KL to the reference, exp(ref − new) − (ref − new) − 1
  GrpoNormalization normalization = GrpoNormalization::kSequence;
  std::int64_t max_length = 0;  ///< of kDrGrpo; 0: the second extent of `tokens`
};
/// Rows of a group-relative policy step, all [B, T] (B completions, T tokens): tokens int64; mask bool, true
/// where a token counts; advantages f32 [B]. old_logp f32 [B, T] or undefined (then the policy is its own,
/// ratio 1 with gradient). reference_logp f32 [B, T], or undefined with `reference` given (streamed), or
/// neither (no KL term).
struct GrpoRows {
  at::Tensor tokens, mask, advantages, old_logp, reference_logp;
  std::optional<Teacher> reference;
};
/// hidden [B, T, H]: states that predict `tokens`. Scalar f32.
at::Tensor linear_grpo(const at::Tensor& hidden, const LinearHead& head, const GrpoRows& rows,
                       const GrpoOptions& loss = {}, MemoryEfficientOptions options = {});

}  // namespace assay::kernels::backprop
