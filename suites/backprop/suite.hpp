// SPDX-License-Identifier: Apache-2.0
// The backprop suite's own words: what a case is, and how its tensors are named. N rows (or B sequences of T
// tokens, row b·T + t), H hidden, V vocabulary, r the adapter's rank; D is the case's dtype.
//
// Inputs of every case   hidden D [N, H], weight D [V, H], upstream f32 [1] ([N, 3] of token_logprob)
// nf4 head               packed u8 [ceil(V·H/2)], absmax f32 [blocks of 64], code f32 [16] in place of weight
// bias, adapter          bias D [V], lora_a D [r, H], lora_b D [V, r]
// cross_entropy          labels i64 [N], or targets f32 [N, V]; class_weight f32 [V]
// token_logprob          labels i64 [N]
// mse                    targets f32 [N, V]
// distillation           teacher_hidden D [N, H'], teacher_weight D [V, H']
// grpo                   tokens i64 [B, T], mask u8 [B, T], advantages f32 [B]; old_logp, reference_logp f32
// [B, T];
//                        teacher_hidden, teacher_weight: the reference policy
// dpo, orpo, simpo, kto  tokens, mask; reference_logp f32 [B], desirable u8 [B], kl f32 [1]
// Outputs                loss f32 [1] ([N, 3] of token_logprob), grad_hidden, grad_weight (unless frozen),
// grad_bias,
//                        grad_lora_a, grad_lora_b, each in its tensor's dtype: gradients of upstream · loss
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::backprop {

enum class LossKind { kCrossEntropy, kTokenLogprob, kMse, kDistillation, kGrpo, kDpo, kOrpo, kSimpo, kKto };
/// "backprop/cross_entropy", …; in this order.
std::string challenge_name(LossKind loss);
inline constexpr LossKind kLossKinds[] = {LossKind::kCrossEntropy, LossKind::kTokenLogprob, LossKind::kMse,
                                          LossKind::kDistillation, LossKind::kGrpo,         LossKind::kDpo,
                                          LossKind::kOrpo,         LossKind::kSimpo,        LossKind::kKto};

enum class Ignored { kNone, kSome, kAll };
enum class Normalization { kToken, kSequence, kDrGrpo };

struct BackpropCase {
  LossKind loss = LossKind::kCrossEntropy;
  std::int64_t rows = 0, hidden = 0, vocab = 0;
  std::int64_t sequences = 1;  ///< divides rows; of the losses of tokens
  harness::Dtype dtype = harness::Dtype::kBfloat16;
  bool frozen = false;  ///< no gradient of weight and bias
  bool nf4 = false;     ///< the weight lies in 4 bits, single level; frozen with it
  bool bias = false;
  std::int64_t rank = 0;  ///< of the adapter; 0: none
  Ignored ignored = Ignored::kNone;

  double softcap = 0.0, temperature = 1.0, label_smoothing = 0.0, z_loss = 0.0;
  bool class_weights = false, soft_targets = false;
  double beta = 0.0;  ///< of distillation
  Normalization normalization = Normalization::kSequence;
  double delta = 0.0;
  bool old_logp = true, reference_head = false, reference_logp = false;  ///< of grpo

  std::int64_t length() const { return rows / sequences; }
  bool of_tokens() const;  ///< grpo and the preference losses
  bool has_labels() const;
  bool has_targets() const;
  bool has_teacher() const;
};

inline constexpr double kLoraScale = 2.0;
inline constexpr std::int64_t kIgnoreIndex = -100;
inline constexpr double kClipLow = 0.2, kClipHigh = 0.28, kKlCoefficient = 0.04;  ///< grpo
inline constexpr double kDpoBeta = 0.1, kOrpoLambda = 0.25, kSimpoBeta = 2.0, kSimpoGammaRatio = 0.5;
inline constexpr double kKtoBeta = 0.1, kKtoDesirable = 1.0, kKtoUndesirable = 1.5;

const BackpropCase& parameters_of(const harness::Case& which);

/// The one table of cases that verification and timing both read.
std::vector<harness::Case> cases_of(LossKind loss);
std::vector<harness::TensorSpec> inputs_of(const BackpropCase& c);
std::vector<harness::TensorSpec> outputs_of(const BackpropCase& c);
harness::TensorSet make_inputs(const harness::Case& which, std::uint64_t seed);

/// Truth by scalar f64 loops (reference/backprop). `inputs` on the CPU.
harness::Oracle scalar_oracle(const BackpropCase& c, const harness::TensorSet& inputs);
/// Truth by f64 tensor operations, on the GPU where there is one; computed when it is first asked for.
harness::Oracle tensor_oracle(const BackpropCase& c, const harness::TensorSet& inputs);
/// The first where it takes less than about a second, else the second.
harness::Oracle oracle_of(const harness::Case& which, const harness::TensorSet& inputs);

}  // namespace assay::suites::backprop
