// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Both come from one buffer: the divergence is zero and so is every gradient."
#include <ATen/core/grad_mode.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

at::Tensor loss(const BackpropCase& c, const CaseTensors& t) {
  return reference::backprop::eager::distillation(
      t.hidden, eager_head(t), {t.hidden.detach(), {.weight = t.weight.detach()}}, c.temperature, c.beta);
}

const bool kThis = register_mutant({.loss = LossKind::kDistillation,
                                    .name = "teacher_is_student",
                                    .about = "distils the student from itself",
                                    .make_call = stateless([](const BackpropCase& c, const CaseTensors& t) {
                                      return loss_and_gradients(c, t, loss);
                                    }),
                                    .shows_in = [](const BackpropCase& c) { return c.rank == 0; }});

}  // namespace
}  // namespace assay::suites::backprop::mutants
