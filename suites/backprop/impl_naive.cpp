// SPDX-License-Identifier: Apache-2.0
// The baseline: full logits, torch's losses, autograd.
#include "harness/core/registry.hpp"
#include "suites/backprop/torch_adapter.hpp"

namespace assay::suites::backprop {
namespace {

std::vector<at::Tensor> call(const BackpropCase& c, const CaseTensors& tensors) {
  return loss_and_gradients(c, tensors, naive_loss);
}

harness::Implementation naive(harness::DeviceKind device) {
  harness::Implementation out = torch_implementation(
      "naive", harness::Role::kBaseline, device, "Full f32 logits, torch's loss, autograd", call,
      {"reference/backprop/eager/losses.cpp", "reference/backprop/eager/token_losses.cpp",
       "reference/backprop/eager/nf4_weight.cpp", "suites/backprop/naive_loss.cpp", "suites/backprop/impl_naive.cpp"});
  out.headline_baseline = true;
  return out;
}

const bool kRegistered = [] {
  for (const LossKind loss : kLossKinds) {
    for (const auto device : {harness::DeviceKind::kCpu, harness::DeviceKind::kCuda})
      const harness::RegisterImplementation add(challenge_name(loss), [device] { return naive(device); });
  }
  return true;
}();

}  // namespace
}  // namespace assay::suites::backprop
