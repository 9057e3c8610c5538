// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/rounding.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <stdexcept>

namespace assay::kernels::compile {
namespace {

void require_16_bits(ComputeType type) {
  if (type != ComputeType::kFloat16 && type != ComputeType::kBfloat16)
    throw std::invalid_argument("expected f16 or bf16, found another type");
}

}  // namespace

std::uint16_t rounded(float value, ComputeType type) {
  require_16_bits(type);
  return type == ComputeType::kFloat16 ? __half_as_ushort(__float2half_rn(value))
                                       : __bfloat16_as_ushort(__float2bfloat16_rn(value));
}

std::vector<std::uint16_t> rounded(std::span<const float> values, ComputeType type) {
  std::vector<std::uint16_t> bits;
  bits.reserve(values.size());
  for (const float value : values) bits.push_back(rounded(value, type));
  return bits;
}

float widened(std::uint16_t bits, ComputeType type) {
  require_16_bits(type);
  return type == ComputeType::kFloat16 ? __half2float(__ushort_as_half(bits))
                                       : __bfloat162float(__ushort_as_bfloat16(bits));
}

}  // namespace assay::kernels::compile
