// SPDX-License-Identifier: Apache-2.0
// From a case to the plain loss of reference/backprop/eager.
#include <ATen/core/grad_mode.h>

#include <stdexcept>

#include "reference/backprop/eager/nf4_weight.hpp"
#include "suites/backprop/case_tensors.hpp"

namespace assay::suites::backprop {
namespace {

namespace eager = reference::backprop::eager;
using at::Tensor;

eager::Normalization as_eager(Normalization normalization) {
  switch (normalization) {
    case Normalization::kToken:
      return eager::Normalization::kToken;
    case Normalization::kSequence:
      return eager::Normalization::kSequence;
    case Normalization::kDrGrpo:
      return eager::Normalization::kDrGrpo;
  }
  throw std::invalid_argument("backprop: unknown normalization");
}

Tensor naive_grpo(const BackpropCase& c, const CaseTensors& t, const eager::Transform& transform) {
  const Tensor logp = eager::token_logp(t.hidden, eager_head(t), t.tokens, transform);
  Tensor reference = t.reference_logp;
  if (c.has_teacher()) {
    const at::NoGradGuard no_gradient;
    reference = eager::token_logp(t.teacher_hidden, {.weight = t.teacher_weight}, t.tokens, transform);
  }
  return eager::grpo(logp, t.mask, t.advantages, t.old_logp, reference,
                     {kClipLow, kClipHigh, c.delta, kKlCoefficient, as_eager(c.normalization), 0});
}

}  // namespace

eager::Head eager_head(const CaseTensors& t, std::optional<at::ScalarType> type) {
  const Tensor weight = t.packed.defined()
                            ? eager::four_bit_weight(t.packed, t.absmax, t.code, t.vocab, t.hidden.size(1),
                                                     type.value_or(t.hidden.scalar_type()))
                            : t.weight;
  return {weight, t.bias, t.lora_a, t.lora_b, kLoraScale};
}

Tensor naive_loss(const BackpropCase& c, const CaseTensors& t) {
  const eager::Transform transform{c.softcap, c.temperature};
  const auto logp = [&] { return eager::token_logp(t.hidden, eager_head(t), t.tokens, transform); };
  switch (c.loss) {
    case LossKind::kCrossEntropy: {
      const eager::CrossEntropy options{transform, kIgnoreIndex, c.label_smoothing, c.z_loss, t.class_weight};
      return c.soft_targets ? eager::cross_entropy_soft(t.hidden, eager_head(t), t.targets, options)
                            : eager::cross_entropy(t.hidden, eager_head(t), t.labels, options);
    }
    case LossKind::kTokenLogprob:
      return eager::token_statistics(t.hidden, eager_head(t), t.labels, transform);
    case LossKind::kMse:
      return eager::mean_squared_error(t.hidden, eager_head(t), t.targets);
    case LossKind::kDistillation:
      return eager::distillation(t.hidden, eager_head(t), {t.teacher_hidden, {.weight = t.teacher_weight}},
                                 c.temperature, c.beta);
    case LossKind::kGrpo:
      return naive_grpo(c, t, transform);
    case LossKind::kDpo:
      return eager::dpo(logp(), t.mask, t.reference_logp, kDpoBeta, c.label_smoothing);
    case LossKind::kOrpo:
      return eager::orpo(logp(), t.mask, kOrpoLambda);
    case LossKind::kSimpo:
      return eager::simpo(logp(), t.mask, kSimpoBeta, kSimpoGammaRatio, c.label_smoothing);
    case LossKind::kKto:
      return eager::kto(logp(), t.mask, t.desirable, t.reference_logp, t.kl, kKtoBeta, kKtoDesirable,
                        kKtoUndesirable);
  }
  throw std::invalid_argument("backprop: unknown loss");
}

}  // namespace assay::suites::backprop
