// SPDX-License-Identifier: Apache-2.0
// Declaring mutants, and deciding which cases can show them.
#include "suites/nf4/matmul/mutants/mutant.hpp"

#include <optional>

namespace assay::suites::nf4::matmul::mutants {
namespace {

std::optional<std::string> hidden_in(const MatmulCase& c, const Needs& needs) {
  if (c.m < needs.min_rows)
    return "the case has too few rows of x to show this fault";
  if (needs.ragged_depth && c.k % 256 == 0)
    return "the case has no tail of K to show this fault";
  if (needs.ragged_columns && c.n % 16 == 0)
    return "the case has no tail of rows of W to show this fault";
  return std::nullopt;
}

}  // namespace

float value_of(const harness::TensorView& view, std::int64_t i) {
  const std::uint16_t bits = view.as<const std::uint16_t>()[i];
  return static_cast<float>(view.dtype == harness::Dtype::kFloat16
                                ? harness::decode<harness::Float16Format>(bits)
                                : harness::decode<harness::Bfloat16Format>(bits));
}

float rounded_to(harness::Dtype dtype, float value) {
  std::uint16_t bits = 0;
  const harness::TensorView one{.name = "", .data = &bits, .dtype = dtype, .shape = {1}};
  nf4::mutants::store(one, 0, value);
  return value_of(one, 0);
}

harness::Implementation mutant(std::string name, const char* check, std::string about,
                               std::function<Body()> make_body, Needs needs) {
  harness::Implementation implementation;
  implementation.name = std::move(name);
  implementation.role = harness::Role::kMutant;
  implementation.device = harness::DeviceKind::kCpu;
  implementation.about = std::move(about);
  implementation.expected_check = check;
  implementation.unsupported = [needs](const harness::Case& which, const harness::DeviceFacts&) {
    return hidden_in(parameters_of(which), needs);
  };
  implementation.prepare = [make_body](const harness::Case& which, const harness::TensorSet& inputs,
                                       harness::TensorSet& outputs, harness::CallStyle) {
    const MatmulCase& c = parameters_of(which);
    return harness::Invocation(
        [problem = Problem{c, packed_weights(c, inputs), inputs.at("x"), outputs.at("y")},
         body = make_body()](harness::Stream) { body(problem); });
  };
  return implementation;
}

}  // namespace assay::suites::nf4::matmul::mutants
