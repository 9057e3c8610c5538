// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "The vocabulary was cut as well, and every piece got a softmax of its own."
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

at::Tensor loss(const BackpropCase& c, const CaseTensors& t) {
  const at::Tensor z = reference::backprop::eager::logits(t.hidden, eager_head(t));
  const std::int64_t half = c.vocab / 2;
  const at::Tensor log_p = at::cat(
      {at::log_softmax(z.narrow(1, 0, half), 1), at::log_softmax(z.narrow(1, half, c.vocab - half), 1)}, 1);
  const at::Tensor counts = t.labels != kIgnoreIndex;
  const at::Tensor logp = log_p.gather(1, t.labels.clamp_min(0).unsqueeze(1)).squeeze(1);
  return -(logp * counts).sum() / counts.sum();
}

const bool kThis = register_mutant({.name = "softmax_per_vocabulary_chunk",
                                    .about = "normalises each half of the vocabulary by itself",
                                    .make_call = stateless([](const BackpropCase& c, const CaseTensors& t) {
                                      return loss_and_gradients(c, t, loss);
                                    }),
                                    .shows_in = is_plain_cross_entropy});

}  // namespace
}  // namespace assay::suites::backprop::mutants
