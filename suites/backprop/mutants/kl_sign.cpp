// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "exp(new - ref) - (new - ref) - 1: it looks like the estimate of the KL and pushes
// elsewhere."
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/where.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

at::Tensor loss(const BackpropCase& c, const CaseTensors& t) {
  namespace eager = reference::backprop::eager;
  const at::Tensor logp = eager::token_logp(t.hidden, eager_head(t), t.tokens, {});
  at::Tensor reference;
  {
    const at::NoGradGuard no_gradient;
    reference = eager::token_logp(t.teacher_hidden, {.weight = t.teacher_weight}, t.tokens, {});
  }
  const at::Tensor policy =
      eager::grpo(logp, t.mask, t.advantages, t.old_logp, {},
                  {kClipLow, kClipHigh, c.delta, 0.0, eager::Normalization::kSequence, 0});
  const at::Tensor d = logp - reference;
  const at::Tensor kl = at::where(t.mask, at::exp(d) - d - 1.0, 0.0);
  return policy + kKlCoefficient * (kl.sum(1) / t.mask.sum(1).clamp_min(1)).mean();
}

const bool kThis = register_mutant({.loss = LossKind::kGrpo,
                                    .name = "kl_sign",
                                    .about = "KL to the reference with the sign of the gap turned",
                                    .make_call = stateless([](const BackpropCase& c, const CaseTensors& t) {
                                      return loss_and_gradients(c, t, loss);
                                    }),
                                    .shows_in = [](const BackpropCase& c) {
                                      return c.reference_head && c.rank == 0 && c.temperature == 1 &&
                                             c.normalization == Normalization::kSequence &&
                                             c.ignored == Ignored::kSome;
                                    }});

}  // namespace
}  // namespace assay::suites::backprop::mutants
