// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/candidate.hpp"

#include "suites/candidate_abi.hpp"
#include "suites/nf4/suite.hpp"

namespace assay::suites::nf4 {
namespace {

constexpr const char* kSymbol = "assay_nf4_dequantize";
using Function = std::int32_t (*)(const AssayNf4Args*);

std::int32_t dtype_of(harness::Dtype dtype) {
  switch (scalar_type(dtype)) {
    case kernels::nf4::ScalarType::kFloat32:
      return ASSAY_F32;
    case kernels::nf4::ScalarType::kFloat16:
      return ASSAY_F16;
    case kernels::nf4::ScalarType::kBfloat16:
      return ASSAY_BF16;
  }
  throw std::invalid_argument("nf4/dequantize: unknown scalar type");
}

AssayNf4Args args_of(const DequantizeCase& c, const harness::TensorSet& inputs,
                     const harness::TensorView& out) {
  const kernels::nf4::PackedWeights w = packed_weights(c, inputs);
  return {.struct_bytes = sizeof(AssayNf4Args),
          .device = inputs.device() == harness::DeviceKind::kCuda ? ASSAY_CUDA : ASSAY_CPU,
          .stream = nullptr,
          .packed = w.packed,
          .rows = c.rows,
          .cols = c.cols,
          .block_size = w.block_size,
          .codebook = c.fp4 ? ASSAY_FP4 : ASSAY_NF4,
          .absmax = w.absmax,
          .absmax_codes = w.absmax_codes,
          .nested_absmax = w.nested_absmax,
          .nested_code = w.nested_code,
          .nested_offset = w.nested_offset,
          .nested_block_size = w.nested_block_size,
          .out_dtype = dtype_of(c.dtype),
          .out = out.data};
}

harness::Invocation bind(const harness::Lookup& lookup, const harness::Case& which,
                         const harness::TensorSet& inputs, harness::TensorSet& outputs) {
  const auto function = candidate_function<Function>(lookup, kSymbol);
  const AssayNf4Args args = args_of(parameters_of(which), inputs, outputs.at("weight"));
  return [function, args, lookup](harness::Stream stream) {
    AssayNf4Args own = args;  // what the call does to the struct ends with the call
    own.stream = stream;
    check_candidate_result(function(&own), kSymbol, lookup);
  };
}

std::map<std::string, harness::Attribute> attributes(const harness::Case& which) {
  const DequantizeCase& c = parameters_of(which);
  return {{"rows", c.rows},
          {"cols", c.cols},
          {"block_size", std::int64_t{c.block_size}},
          {"nested", c.nested},
          {"nested_block_size", std::int64_t{256}},
          {"codebook", std::string(c.fp4 ? "fp4" : "nf4")},
          {"out_dtype", std::string(harness::name_of(c.dtype))}};
}

}  // namespace

std::shared_ptr<const harness::OutsideInterface> dequantize_outside() {
  return std::make_shared<const harness::OutsideInterface>(harness::OutsideInterface{bind, attributes});
}

}  // namespace assay::suites::nf4
