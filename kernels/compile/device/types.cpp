// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/types.hpp"

#include <stdexcept>
#include <string>

namespace assay::kernels::compile {
namespace {

template <class Type>
Type translated(ComputeType type, Type half, Type bfloat, Type single) {
  switch (type) {
    case ComputeType::kFloat16:
      return half;
    case ComputeType::kBfloat16:
      return bfloat;
    case ComputeType::kFloat32:
      return single;
  }
  throw std::invalid_argument("device step: unknown compute type " + std::to_string(static_cast<int>(type)));
}

}  // namespace

MatmulType matmul_type(ComputeType type) {
  return translated(type, MatmulType::kFloat16, MatmulType::kBfloat16, MatmulType::kFloat32);
}
nf4::ScalarType scalar_type(ComputeType type) {
  using nf4::ScalarType;
  return translated(type, ScalarType::kFloat16, ScalarType::kBfloat16, ScalarType::kFloat32);
}
backprop::LogitType logit_type(ComputeType type) {
  using backprop::LogitType;
  return translated(type, LogitType::kFloat16, LogitType::kBfloat16, LogitType::kFloat32);
}
CopyType copy_type(ComputeType type) {
  return translated(type, CopyType::kFloat16, CopyType::kBfloat16, CopyType::kFloat32);
}
attention::ElementType attention_type(ComputeType type) {
  if (type == ComputeType::kFloat32)
    throw std::invalid_argument(
        "device step: expected f16 or bf16, found f32, which attention does not have");
  return type == ComputeType::kFloat16 ? attention::ElementType::kFloat16 : attention::ElementType::kBfloat16;
}

}  // namespace assay::kernels::compile
