// SPDX-License-Identifier: Apache-2.0
// Operations of the list as the kernels' own arguments: pure functions of the list and of addresses.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "kernels/compile/device/step_kernels.hpp"
#include "kernels/compile/device/types.hpp"
#include "kernels/compile/program.hpp"

namespace assay::kernels::compile {

/// A list and where its buffers are.
struct BoundProgram {
  Program program;
  ComputeType compute = ComputeType::kBfloat16;
  std::vector<std::byte*> addresses;              ///< of each buffer; null: not there (yet)
  std::map<int, nf4::PackedWeights> packed = {};  ///< of kPacked buffers

  const Buffer& buffer(const Operand& operand) const {
    return program.buffers[static_cast<std::size_t>(operand.buffer)];
  }
  /// Of the operand's first column. Throws std::invalid_argument naming a buffer that has no address.
  std::byte* address(const Operand& operand) const;
  template <class T>
  T* at(const Operand& operand) const {
    return reinterpret_cast<T*>(address(operand));
  }
};

std::size_t element_bytes(Element element, ComputeType compute);
std::int64_t columns_of(const BoundProgram& bound, const Operand& operand);

/// Without workspace.
MatmulArgs matmul_of(const BoundProgram& bound, const Op& op);
nf4::DequantizeArgs dequantize_of(const BoundProgram& bound, const Op& op);
Embed embed_of(const BoundProgram& bound, const Op& op);
/// kRmsNorm and kAddRmsNorm.
llama::RmsNormForward rms_norm_of(const BoundProgram& bound, const Op& op);
llama::RmsNormBackward rms_norm_backward_of(const BoundProgram& bound, const Op& op);
llama::Rope rope_of(const BoundProgram& bound, const Op& op);
llama::SwigluForward swiglu_of(const BoundProgram& bound, const Op& op);
llama::SwigluBackward swiglu_backward_of(const BoundProgram& bound, const Op& op);

}  // namespace assay::kernels::compile
