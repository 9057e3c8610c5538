// SPDX-License-Identifier: Apache-2.0
// Caught by `parity`: "Jensen-Shannon of 16-bit log-probabilities (reported upstream)."
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>

#include <cmath>

#include "suites/backprop/mutants/mutant.hpp"

namespace assay::suites::backprop::mutants {
namespace {

at::Tensor loss(const BackpropCase& c, const CaseTensors& t) {
  const auto log_p = [&](const at::Tensor& hidden, const at::Tensor& weight) {
    return at::log_softmax(at::linear(hidden, weight) / c.temperature, 1);
  };
  const at::Tensor p = log_p(t.hidden, t.weight), q = log_p(t.teacher_hidden, t.teacher_weight);
  const at::Tensor m = at::logaddexp(q + std::log(c.beta), p + std::log(1.0 - c.beta));
  const auto kl = [](const at::Tensor& of, const at::Tensor& from) {
    return (of.exp() * (of - from)).sum(1);
  };
  return ((kl(q, m) * c.beta + kl(p, m) * (1.0 - c.beta)).mean() * c.temperature * c.temperature)
      .to(at::kFloat);
}

const bool kThis = register_mutant({.loss = LossKind::kDistillation,
                                    .name = "bf16_divergence",
                                    .about = "divergence of bf16 log-probabilities",
                                    .make_call = stateless([](const BackpropCase& c, const CaseTensors& t) {
                                      return loss_and_gradients(c, t, loss);
                                    }),
                                    .shows_in = [](const BackpropCase& c) {
                                      return c.dtype == harness::Dtype::kBfloat16 && c.beta > 0 && c.beta < 1;
                                    }});

}  // namespace
}  // namespace assay::suites::backprop::mutants
