// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/mutants/mutant.hpp"

#include "harness/core/registry.hpp"

namespace assay::suites::compile::mutants {
namespace {

using harness::Case;

/// What all of them have in common.
struct Fault {
  std::string challenge, name, check, about;
  std::function<bool(const Case&)> shows_in;
  std::function<TensorCall(const Case&)> make_call;
};

harness::Implementation implementation_of(const Fault& fault, harness::DeviceKind device) {
  harness::Implementation out;
  out.name = device == harness::DeviceKind::kCpu ? fault.name + "_cpu" : fault.name;
  out.role = harness::Role::kMutant;
  out.device = device;
  out.about = fault.about;
  out.expected_check = fault.check;
  out.unsupported = [shows = fault.shows_in](const Case& which,
                                             const harness::DeviceFacts&) -> std::optional<std::string> {
    if (shows(which))
      return std::nullopt;
    return "the fault does not show in this case";
  };
  out.prepare = [make = fault.make_call](const Case& which, const harness::TensorSet& inputs,
                                         harness::TensorSet& outputs, harness::CallStyle style) {
    return prepare_tensor_call(inputs, outputs, style, make(which));
  };
  return out;
}

bool register_fault(const Fault& fault) {
  for (const auto device : {harness::DeviceKind::kCpu, harness::DeviceKind::kCuda}) {
    const harness::RegisterImplementation add(fault.challenge,
                                              [fault, device] { return implementation_of(fault, device); });
  }
  return true;
}

}  // namespace

bool register_mutant(const Mutant& mutant) {
  return register_fault(
      {.challenge = challenge_name(mutant.piece),
       .name = mutant.name,
       .check = mutant.check,
       .about = mutant.about,
       .shows_in = [shows = mutant.shows_in](const Case& which) { return shows(parameters_of(which)); },
       .make_call =
           [make = mutant.make_call](const Case& which) {
             return [c = parameters_of(which), call = make()](const Tensors& in, const Tensors& out) {
               call(c, in, out);
             };
           }});
}

std::function<TorchCall()> stateless(TorchCall call) {
  return [call = std::move(call)] { return call; };
}

bool register_mutant(const AttentionMutant& mutant) {
  return register_fault({.challenge = kAttentionChallenge,
                         .name = mutant.name,
                         .check = harness::checks::kParity,
                         .about = mutant.about,
                         .shows_in = [shows = mutant.shows_in](
                                         const Case& which) { return shows(attention_parameters_of(which)); },
                         .make_call =
                             [mutant](const Case& which) {
                               return [mutant, c = attention_parameters_of(which)](const Tensors& in,
                                                                                   const Tensors& out) {
                                 std::vector<Part> parts = parts_of(c, in, kScoresAtOnce);
                                 for (Part& part : parts) {
                                   if (mutant.spoil)
                                     mutant.spoil(c, part);
                                 }
                                 attend(c, parts, in, out, mutant.math);
                               };
                             }});
}

}  // namespace assay::suites::compile::mutants
