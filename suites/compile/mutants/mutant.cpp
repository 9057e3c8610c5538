// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/mutants/mutant.hpp"

#include "harness/core/registry.hpp"

namespace assay::suites::compile::mutants {
namespace {

harness::Implementation implementation_of(const Mutant& mutant, harness::DeviceKind device) {
  harness::Implementation out =
      torch_implementation(mutant.name, harness::Role::kMutant, device, mutant.about, {}, {});
  out.expected_check = mutant.check;
  out.sources.clear();
  out.unsupported = [shows = mutant.shows_in](const harness::Case& which,
                                              const harness::DeviceFacts&) -> std::optional<std::string> {
    if (shows(parameters_of(which)))
      return std::nullopt;
    return "the fault does not show in this case";
  };
  out.prepare = [make = mutant.make_call](const harness::Case& which, const harness::TensorSet& inputs,
                                          harness::TensorSet& outputs, harness::CallStyle style) {
    return prepare_torch(which, inputs, outputs, style, make());
  };
  return out;
}

}  // namespace

bool register_mutant(const Mutant& mutant) {
  for (const auto device : {harness::DeviceKind::kCpu, harness::DeviceKind::kCuda}) {
    const harness::RegisterImplementation add(challenge_name(mutant.piece),
                                              [mutant, device] { return implementation_of(mutant, device); });
  }
  return true;
}

std::function<TorchCall()> stateless(TorchCall call) {
  return [call = std::move(call)] { return call; };
}

}  // namespace assay::suites::compile::mutants
