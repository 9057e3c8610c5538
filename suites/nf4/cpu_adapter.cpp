// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/cpu_adapter.hpp"

#include <stdexcept>

#include "harness/memory/memory.hpp"

namespace assay::suites::nf4 {

harness::Invocation prepare_cpu(harness::TensorSet& outputs, harness::CallStyle style, CpuCall call) {
  const harness::TensorView& weight = outputs.at("weight");
  if (style == harness::CallStyle::kInto)
    return [call = std::move(call), out = weight.data](harness::Stream) { call(out); };
  return [call = std::move(call), bytes = weight.bytes()](harness::Stream stream) {
    const harness::Scratch out(bytes, harness::DeviceKind::kCpu, stream);
    call(out.data());
  };
}

reference::nf4::Codebook as_reference(kernels::nf4::Codebook codebook) {
  return codebook == kernels::nf4::Codebook::kFp4 ? reference::nf4::Codebook::kFp4
                                                  : reference::nf4::Codebook::kNf4;
}

reference::nf4::Scalar as_reference(kernels::nf4::ScalarType type) {
  switch (type) {
    case kernels::nf4::ScalarType::kFloat16:
      return reference::nf4::Scalar::kFloat16;
    case kernels::nf4::ScalarType::kBfloat16:
      return reference::nf4::Scalar::kBfloat16;
    case kernels::nf4::ScalarType::kFloat32:
      return reference::nf4::Scalar::kFloat32;
  }
  throw std::invalid_argument("nf4: unknown scalar type");
}

reference::nf4::QuantizedWeights as_reference(const kernels::nf4::PackedWeights& w) {
  return {.packed = w.packed,
          .count = w.num_weights,
          .block_size = w.block_size,
          .codebook = as_reference(w.codebook),
          .absmax = w.absmax,
          .absmax_codes = w.absmax_codes,
          .nested_absmax = w.nested_absmax,
          .nested_code = w.nested_code,
          .nested_offset = w.nested_offset,
          .nested_block_size = w.nested_block_size};
}

}  // namespace assay::suites::nf4
