// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/packed_weight.hpp"

#include <c10/util/Exception.h>

#include "kernels/torch/nf4_dequantize.hpp"

namespace assay::kernels::backprop {

void check_packed(const PackedWeight& weight, const at::Tensor& hidden) {
  TORCH_CHECK_VALUE(weight.packed.defined() && weight.absmax.defined(),
                    "expected a packed weight with packed bytes and absmax, found one of them missing");
  TORCH_CHECK_VALUE(weight.vocab >= 0 && weight.hidden == hidden.size(1), "expected a packed weight of [V, ",
                    hidden.size(1), "], found [", weight.vocab, ", ", weight.hidden, "]");
  TORCH_CHECK_VALUE(weight.packed.device() == hidden.device(),
                    "expected the packed weight on the device of the hidden states, ", hidden.device(),
                    ", found ", weight.packed.device());
}

at::Tensor unpack(const PackedWeight& w, at::ScalarType type) {
  const at::ScalarType decoded = type == at::kDouble ? at::kFloat : type;
  return torch::dequantize(w.packed, w.absmax, {w.vocab, w.hidden}, decoded, w.block_size, w.quant_type,
                           w.nested_absmax, w.nested_code, w.nested_offset, w.nested_block_size)
      .to(type);
}

}  // namespace assay::kernels::backprop
