// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Logits stay in 16 bits: half the memory, and a loss with three digits."
#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linear.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

at::Tensor loss(const BackpropCase&, const CaseTensors& t) {
  return at::cross_entropy_loss(at::linear(t.hidden, t.weight), t.labels, std::nullopt, at::Reduction::Mean,
                                kIgnoreIndex, 0.0);
}

const bool kThis = register_mutant({.name = "upcast_removed",
                                    .about = "cross entropy of 16-bit logits",
                                    .make_call = stateless([](const BackpropCase& c, const CaseTensors& t) {
                                      return loss_and_gradients(c, t, loss);
                                    }),
                                    .shows_in = [](const BackpropCase& c) {
                                      return is_plain_cross_entropy(c) && c.dtype != harness::Dtype::kFloat32;
                                    }});

}  // namespace
}  // namespace assay::suites::backprop::mutants
