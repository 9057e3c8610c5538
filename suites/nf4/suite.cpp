// SPDX-License-Identifier: Apache-2.0
// nf4/dequantize as the harness sees it: cases, inputs, oracle, work. Implementations register themselves,
// one file each.
#include "suites/nf4/suite.hpp"

#include <cstring>
#include <stdexcept>

#include "harness/core/registry.hpp"
#include "reference/nf4/dequantize.hpp"
#include "suites/nf4/candidate.hpp"
#include "suites/nf4/cases.hpp"
#include "suites/nf4/checks.hpp"
#include "suites/nf4/host_weights.hpp"
#include "suites/nf4/inputs.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::Case;
using harness::TensorSet;

reference::nf4::Scalar reference_scalar(harness::Dtype dtype) {
  switch (dtype) {
    case harness::Dtype::kFloat16:
      return reference::nf4::Scalar::kFloat16;
    case harness::Dtype::kBfloat16:
      return reference::nf4::Scalar::kBfloat16;
    case harness::Dtype::kFloat32:
      return reference::nf4::Scalar::kFloat32;
    default:
      throw std::invalid_argument("nf4/dequantize: expected an output of f16, bf16 or f32");
  }
}

/// Points what kernels or reference take at the case's tensors; both name the layout's parts alike.
template <class Weights>
void point_at(const DequantizeCase& c, const TensorSet& in, Weights& w) {
  w.packed = in.at("packed").as<const std::uint8_t>();
  w.block_size = c.block_size;
  if (c.nested) {
    w.absmax_codes = in.at("absmax_codes").as<const std::uint8_t>();
    w.nested_absmax = in.at("nested_absmax").as<const float>();
    w.nested_code = in.at("nested_code").as<const float>();
    w.nested_offset = in.at("nested_offset").as<const float>();
  } else {
    w.absmax = in.at("absmax").as<const float>();
  }
}

reference::nf4::QuantizedWeights reference_weights(const DequantizeCase& c, const TensorSet& in) {
  reference::nf4::QuantizedWeights w;
  w.count = c.num_weights();
  w.codebook = c.fp4 ? reference::nf4::Codebook::kFp4 : reference::nf4::Codebook::kNf4;
  point_at(c, in, w);
  return w;
}

harness::Oracle make_oracle(const Case& which, const TensorSet& inputs) {
  const DequantizeCase& c = parameters_of(which);
  const auto weights = reference_weights(c, inputs);
  const auto type = reference_scalar(c.dtype);
  harness::Oracle oracle;
  oracle.truth = [weights](std::string_view, std::int64_t begin, std::span<double> out) {
    reference::nf4::truth(weights, begin, out);
  };
  oracle.exact = [weights, type](std::string_view, std::int64_t begin, std::int64_t count, std::byte* out) {
    reference::nf4::exact(weights, type, begin, count, out);
  };
  return oracle;
}

harness::Work work_of(const Case& which) {
  const DequantizeCase& c = parameters_of(which);
  const std::int64_t statistics =
      c.nested ? c.num_blocks() + (c.num_blocks() + 255) / 256 * 4 + 1024 + 4 : c.num_blocks() * 4;
  const auto element = static_cast<std::int64_t>(harness::size_of(c.dtype));
  return {.bytes = (c.num_weights() + 1) / 2 + statistics + c.num_weights() * element,
          .flops = 0,
          .ceiling = "copy_gbps"};
}

harness::Challenge make_challenge() {
  harness::Challenge challenge;
  challenge.suite = "nf4";
  challenge.name = kDequantize;
  challenge.about = "4-bit weights with nested absmax to f16, bf16 or f32, bit for bit";
  challenge.parity.exact = true;
  challenge.cases = dequantize_cases();
  challenge.make_inputs = make_inputs;
  challenge.outputs = [](const Case& which) -> std::vector<harness::TensorSpec> {
    const DequantizeCase& c = parameters_of(which);
    return {{"weight", c.dtype, {c.rows, c.cols}}};
  };
  challenge.oracle = make_oracle;
  challenge.work = work_of;
  challenge.checks = dequantize_checks();
  challenge.outside = dequantize_outside();
  return challenge;
}

const harness::RegisterChallenge kThis(make_challenge);

}  // namespace

RealWeights::RealWeights(std::function<HostWeights()> load) : load_(std::move(load)) {}
RealWeights::~RealWeights() = default;
const HostWeights& RealWeights::get() const {
  std::call_once(once_, [this] { loaded_ = std::make_unique<HostWeights>(load_()); });
  return *loaded_;
}

const DequantizeCase& parameters_of(const Case& which) {
  return std::any_cast<const DequantizeCase&>(which.parameters);
}

kernels::nf4::ScalarType scalar_type(harness::Dtype dtype) {
  switch (dtype) {
    case harness::Dtype::kFloat16:
      return kernels::nf4::ScalarType::kFloat16;
    case harness::Dtype::kBfloat16:
      return kernels::nf4::ScalarType::kBfloat16;
    case harness::Dtype::kFloat32:
      return kernels::nf4::ScalarType::kFloat32;
    default:
      throw std::invalid_argument("nf4/dequantize: expected an output of f16, bf16 or f32");
  }
}

kernels::nf4::PackedWeights packed_weights(const DequantizeCase& c, const TensorSet& in) {
  kernels::nf4::PackedWeights w;
  w.num_weights = c.num_weights();
  w.codebook = c.fp4 ? kernels::nf4::Codebook::kFp4 : kernels::nf4::Codebook::kNf4;
  point_at(c, in, w);
  return w;
}

}  // namespace assay::suites::nf4
