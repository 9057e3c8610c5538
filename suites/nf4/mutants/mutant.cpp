// SPDX-License-Identifier: Apache-2.0
// Declaring mutants, and deciding which cases can show them.
#include "suites/nf4/mutants/mutant.hpp"

#include <optional>

namespace assay::suites::nf4::mutants {
namespace {

/// Elements of which a few differ when absmax is off by one f32 ulp in part of the blocks: 24 - 11 and 24 - 8
/// bits are rounded away, so one element in 2^13 (f16) or 2^16 (bf16) of those blocks changes.
std::int64_t enough_for_last_bits(harness::Dtype dtype) {
  switch (dtype) {
    case harness::Dtype::kFloat16:
      return std::int64_t{1} << 17;
    case harness::Dtype::kBfloat16:
      return std::int64_t{1} << 20;
    default:
      return 256;
  }
}

std::optional<std::string> hidden_in(const DequantizeCase& which, const Needs& needs) {
  if (!which.nested || which.fp4) {
    return "mutants show their faults on nested NF4";
  }
  const bool large = which.num_weights() >= needs.min_weights && which.num_blocks() >= needs.min_blocks;
  if (!large || (needs.last_bits && which.num_weights() < enough_for_last_bits(which.dtype))) {
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
