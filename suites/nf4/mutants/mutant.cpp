// SPDX-License-Identifier: Apache-2.0
// Declaring mutants, and deciding which cases can show them.
#include "suites/nf4/mutants/mutant.hpp"

#include <optional>

namespace assay::suites::nf4::mutants {
namespace {

std::optional<std::string> hidden_in(const DequantizeCase& which, const Needs& needs) {
  if (!which.nested || which.fp4) {
    return "mutants show their faults on nested NF4";
  }
  if (needs.f32 && which.dtype != harness::Dtype::kFloat32) {
    return "the fault is too rare to show in a quick case of 16 bits";
  }
  if (which.num_weights() < needs.min_weights) {
    return "the case is too small to show this fault";
  }
  return std::nullopt;
}

}  // namespace

harness::Implementation mutant(std::string name, harness::DeviceKind device, const char* check,
                               std::string about, std::function<Body()> make_body, Needs needs) {
  harness::Implementation implementation;
  implementation.name = std::move(name);
  implementation.role = harness::Role::kMutant;
  implementation.device = device;
  implementation.about = std::move(about);
  implementation.expected_check = check;
  implementation.unsupported = [needs](const harness::Case& which, const harness::DeviceFacts&) {
    return hidden_in(parameters_of(which), needs);
  };
  implementation.prepare = [make_body](const harness::Case& which, const harness::TensorSet& inputs,
                                       harness::TensorSet& outputs, harness::CallStyle) {
    return harness::Invocation([weights = packed_weights(parameters_of(which), inputs),
                                out = outputs.at("weight"),
                                body = make_body()](harness::Stream stream) { body(weights, out, stream); });
  };
  return implementation;
}

}  // namespace assay::suites::nf4::mutants
