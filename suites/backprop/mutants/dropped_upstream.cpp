// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "backward returns the stored gradient; with a loss scale nothing is scaled."
#include <ATen/ops/ones_like.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

std::vector<at::Tensor> call(const BackpropCase& c, const CaseTensors& t) {
  const auto chunks = chunks_of_rows(c, t);
  return put_together(t, chunks, right_factors(chunks), at::ones_like(t.upstream));
}

/// The same fault in the losses that have no steps of their own here.
std::vector<at::Tensor> call_plain(const BackpropCase& c, const CaseTensors& t) {
  CaseTensors unscaled = t;
  unscaled.upstream = at::ones_like(t.upstream);
  return loss_and_gradients(c, unscaled, naive_loss);
}

const bool kThis = [] {
  for (const LossKind loss : kLossKinds) {
    const bool in_steps = loss == LossKind::kCrossEntropy;
    register_mutant({.loss = loss,
                     .name = "dropped_upstream",
                     .about = "takes the upstream gradient for 1",
                     .make_call = stateless(in_steps ? call : call_plain),
                     .shows_in = in_steps ? is_plain_cross_entropy : [](const BackpropCase& c) {
                       return c.ignored != Ignored::kAll;
                     }});
  }
  return true;
}();

}  // namespace
}  // namespace assay::suites::backprop::mutants
