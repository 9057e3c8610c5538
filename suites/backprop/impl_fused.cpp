// SPDX-License-Identifier: Apache-2.0
// Candidates: the fast paths, one hand-written pass over each chunk of logits.
#include "harness/core/registry.hpp"
#include "kernels/backprop/autograd/fused_losses.hpp"
#include "suites/backprop/memory_efficient_loss.hpp"
#include "suites/backprop/torch_adapter.hpp"

namespace assay::suites::backprop {
namespace {

namespace ours = kernels::backprop;
using harness::DeviceKind;

at::Tensor cross_entropy(const BackpropCase& c, const CaseTensors& t) {
  return ours::fused_linear_cross_entropy(t.hidden, linear_head(t), t.labels, cross_entropy_options(c, t));
}

at::Tensor token_statistics(const BackpropCase& c, const CaseTensors& t) {
  return ours::fused_linear_token_statistics(t.hidden, linear_head(t), t.labels, {c.softcap, c.temperature});
}

std::optional<std::string> only_labels(const harness::Case& which, const harness::DeviceFacts&) {
  if (parameters_of(which).soft_targets)
    return "the fast path takes labels, not distributions";
  return std::nullopt;
}

harness::Implementation fused(LossKind loss, DeviceKind device) {
  const LossFunction function = loss == LossKind::kCrossEntropy ? cross_entropy : token_statistics;
  harness::Implementation out = torch_implementation(
      "fused", harness::Role::kCandidate, device,
      "One hand-written pass over each chunk of logits, gradients included",
      [function](const BackpropCase& c, const CaseTensors& t) { return loss_and_gradients(c, t, function); },
      memory_efficient_sources({"suites/backprop/impl_fused.cpp"}));
  out.unsupported = only_labels;
  return out;
}

const bool kRegistered = [] {
  for (const LossKind loss : {LossKind::kCrossEntropy, LossKind::kTokenLogprob}) {
    for (const DeviceKind device : {DeviceKind::kCpu, DeviceKind::kCuda})
      const harness::RegisterImplementation add(challenge_name(loss), [=] { return fused(loss, device); });
  }
  return true;
}();

}  // namespace
}  // namespace assay::suites::backprop
