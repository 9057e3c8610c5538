// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/eager/nf4_weight.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/stack.h>

namespace assay::reference::backprop::eager {

at::Tensor four_bit_weight(const at::Tensor& packed, const at::Tensor& absmax, const at::Tensor& code,
                           std::int64_t vocab, std::int64_t hidden, at::ScalarType type,
                           std::int64_t block_size) {
  const std::int64_t count = vocab * hidden;
  const at::ScalarType exact = type == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor nibbles = at::stack({at::bitwise_right_shift(packed, 4), at::bitwise_and(packed, 15)}, 1)
                                 .view({-1})
                                 .narrow(0, 0, count);
  const at::Tensor scale = absmax.unsqueeze(1).expand({-1, block_size}).reshape({-1}).narrow(0, 0, count);
  const at::Tensor value = at::index_select(code, 0, nibbles.to(at::kLong)).to(exact) * scale.to(exact);
  return value.view({vocab, hidden}).to(type);
}

}  // namespace assay::reference::backprop::eager
