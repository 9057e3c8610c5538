// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The probabilities that weigh the logarithms are detached with the teacher's: the loss
// is right, its gradient is not." (Detaching the mixture alone would be right: what it passes on is constant
// over the vocabulary.)
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>

#include <cmath>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

at::Tensor loss(const BackpropCase& c, const CaseTensors& t) {
  namespace eager = reference::backprop::eager;
  const at::Tensor p = at::log_softmax(eager::logits(t.hidden, eager_head(t)) / c.temperature, 1);
  const at::Tensor q =
      at::log_softmax(eager::logits(t.teacher_hidden, {.weight = t.teacher_weight}) / c.temperature, 1);
  const at::Tensor m = at::logaddexp(q + std::log(c.beta), p + std::log(1.0 - c.beta));
  const auto kl = [](const at::Tensor& of, const at::Tensor& from) {
    return (of.detach().exp() * (of - from)).sum(1);
  };
  return (kl(q, m) * c.beta + kl(p, m) * (1.0 - c.beta)).mean() * (c.temperature * c.temperature);
}

const bool kThis =
    register_mutant({.loss = LossKind::kDistillation,
                     .name = "divergence_weights_detached",
                     .about = "no gradient through the student's weights of the divergence",
                     .make_call = stateless([](const BackpropCase& c, const CaseTensors& t) {
                       return loss_and_gradients(c, t, loss);
                     }),
                     .shows_in = [](const BackpropCase& c) { return c.beta > 0 && c.beta < 1; }});

}  // namespace
}  // namespace assay::suites::backprop::mutants
