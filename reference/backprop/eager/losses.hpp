// SPDX-License-Identifier: Apache-2.0
// The baseline: what people write with torch. The whole [N, V] logits as linear(x).float(), torch's own loss
// functions, autograd's backward. Definitions as in reference/backprop/*.hpp. f64 tensors stay f64.
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::reference::backprop::eager {

struct Head {
  /// [V, H], [V], [rank, H], [V, rank]; undefined where there is none.
  at::Tensor weight, bias = {}, lora_a = {}, lora_b = {};
  double lora_scale = 1.0;
};

/// hidden [N, H] to f32 [N, V].
at::Tensor logits(const at::Tensor& hidden, const Head& head);

struct Transform {
  double softcap = 0.0, temperature = 1.0;
};

struct CrossEntropy {
  Transform transform = {};
  std::int64_t ignore_index = -100;
  double label_smoothing = 0.0, z_loss = 0.0;
  at::Tensor class_weight = {};
};
/// Scalar. No row that counts: 0.
at::Tensor cross_entropy(const at::Tensor& hidden, const Head& head, const at::Tensor& labels,
                         const CrossEntropy& options);
at::Tensor cross_entropy_soft(const at::Tensor& hidden, const Head& head, const at::Tensor& targets,
                              const CrossEntropy& options);

/// [N, 3]: logp, entropy, lse; rows of a negative token are 0.
at::Tensor token_statistics(const at::Tensor& hidden, const Head& head, const at::Tensor& tokens,
                            const Transform& transform);

at::Tensor mean_squared_error(const at::Tensor& hidden, const Head& head, const at::Tensor& targets);

struct Teacher {
  at::Tensor hidden;
  Head head;
};
at::Tensor distillation(const at::Tensor& hidden, const Head& head, const Teacher& teacher,
                        double temperature, double beta);

/// log-probabilities [B, T] of tokens [B, T], hidden [B·T, H].
at::Tensor token_logp(const at::Tensor& hidden, const Head& head, const at::Tensor& tokens,
                      const Transform& transform);

enum class Normalization { kToken, kSequence, kDrGrpo };
struct Grpo {
  double clip_low = 0.2, clip_high = 0.2, delta = 0.0, kl_coefficient = 0.04;
  Normalization normalization = Normalization::kSequence;
  std::int64_t max_length = 0;
};
/// logp [B, T] with gradient; mask bool [B, T]; advantages [B]; old_logp and reference_logp [B, T] or
/// undefined.
at::Tensor grpo(const at::Tensor& logp, const at::Tensor& mask, const at::Tensor& advantages,
                const at::Tensor& old_logp, const at::Tensor& reference_logp, const Grpo& options);

/// Of logp [B, T], the first half of the batch chosen.
at::Tensor dpo(const at::Tensor& logp, const at::Tensor& mask, const at::Tensor& reference_logp, double beta,
               double label_smoothing);
at::Tensor simpo(const at::Tensor& logp, const at::Tensor& mask, double beta, double gamma_beta_ratio,
                 double label_smoothing);
at::Tensor orpo(const at::Tensor& logp, const at::Tensor& mask, double lambda);
at::Tensor kto(const at::Tensor& logp, const at::Tensor& mask, const at::Tensor& desirable,
               const at::Tensor& reference_logp, const at::Tensor& kl, double beta, double desirable_weight,
               double undesirable_weight);

}  // namespace assay::reference::backprop::eager
