// SPDX-License-Identifier: Apache-2.0
// The last linear layer of a language model: hidden states to logits, as people fine-tune it.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

namespace assay::kernels::backprop {

/// bitsandbytes' 4-bit layout of a weight of `vocab` × `hidden` (see kernels/nf4/format.hpp).
struct PackedWeight {
  at::Tensor packed = {};                        ///< uint8 [ceil(V·H / 2)]
  at::Tensor absmax = {};                        ///< uint8 [blocks] nested, f32 [blocks] single level
  std::optional<at::Tensor> nested_absmax = {};  ///< f32 [ceil(blocks / nested_block_size)]
  std::optional<at::Tensor> nested_code = {};    ///< f32 [256]
  std::optional<at::Tensor> nested_offset = {};  ///< f32 scalar
  std::int64_t block_size = 64, nested_block_size = 256;
  std::string quant_type = "nf4";  ///< or "fp4"
  std::int64_t vocab = 0, hidden = 0;
};

/// logits[r, v] = hidden[r]·weight[v] + bias[v] + lora_scale · (hidden[r]·lora_aᵀ)·lora_b[v]
/// Tensors that require a gradient get one; a frozen weight costs no dW product. All on one device.
struct LinearHead {
  at::Tensor weight = {};  ///< [V, H] in the type of the hidden states; undefined where packed
  std::optional<PackedWeight> packed = {};  ///< a frozen 4-bit weight, decoded once a pass
  at::Tensor bias = {};                     ///< [V], or undefined
  at::Tensor lora_a = {},
             lora_b = {};   ///< [rank, H], [V, rank], or neither; may be f32 beside a 16-bit weight
  double lora_scale = 1.0;  ///< alpha / rank
};

}  // namespace assay::kernels::backprop
