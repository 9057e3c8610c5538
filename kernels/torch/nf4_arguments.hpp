// SPDX-License-Identifier: Apache-2.0
// Tensors as a bitsandbytes QuantState holds them, checked and turned into the kernels' plain argument
// structs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "kernels/nf4/format.hpp"

namespace assay::kernels::torch {

/// The weight arguments of torch.ops.assay.nf4_dequantize, as they come from the dispatcher.
struct Nf4Weights {
  const at::Tensor& packed;  ///< bytes, two weights each; uint8 or bitsandbytes' quant_storage types
  const at::Tensor& absmax;  ///< uint8: nested; float32: single level
  std::int64_t block_size;
  std::string_view quant_type;  ///< "nf4" or "fp4"
  const std::optional<at::Tensor>& nested_absmax;
  const std::optional<at::Tensor>& nested_code;
  const std::optional<at::Tensor>& nested_offset;
  std::int64_t nested_block_size;
};

/// What can be said without sizes and memory, so also of fake tensors: types, which arguments are given,
/// names, block sizes, one device. Throws c10::Error saying what was expected, found, and what to do.
void check_types(const Nf4Weights& weights);
void check_output_type(at::ScalarType dtype);
void check_quantize_types(const at::Tensor& weight, std::int64_t block_size, std::string_view quant_type);

/// All checks of check_types, then sizes and contiguity for `num_weights`; the result points into the
/// tensors.
nf4::PackedWeights packed_weights(const Nf4Weights& weights, std::int64_t num_weights);

/// Product of `shape`; refuses negative sizes and overflow.
std::int64_t num_weights_of(at::IntArrayRef shape);
/// Output tensor of the out variant: floating type, contiguous, on the weights' device, not over their
/// memory.
void check_out(const at::Tensor& out, const Nf4Weights& weights);

nf4::ScalarType scalar_type(at::ScalarType dtype);
nf4::Codebook codebook(std::string_view quant_type);

}  // namespace assay::kernels::torch
