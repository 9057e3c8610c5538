// SPDX-License-Identifier: Apache-2.0
// 4-bit weights held in tensors to 16 or 32 bits, on whichever device they lie: what torch.ops.assay.nf4_dequantize runs,
// for C++ callers too.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

#include "kernels/torch/nf4_arguments.hpp"

namespace assay::kernels::torch {

using MaybeTensor = std::optional<at::Tensor>;

/// New tensor of `shape` and `dtype` (f16, bf16, f32) on the device of `packed`; GPU work goes to the current stream.
/// Throws c10::Error saying what was expected and found.
at::Tensor dequantize(const at::Tensor& packed, const at::Tensor& absmax, at::IntArrayRef shape, at::ScalarType dtype,
                      std::int64_t block_size, std::string_view quant_type, const MaybeTensor& nested_absmax,
                      const MaybeTensor& nested_code, const MaybeTensor& nested_offset,
                      std::int64_t nested_block_size);

/// The same into `out`: contiguous, of the right size, not over the weights' memory.
void dequantize_out(const at::Tensor& packed, const at::Tensor& absmax, std::int64_t block_size,
                    std::string_view quant_type, const MaybeTensor& nested_absmax, const MaybeTensor& nested_code,
                    const MaybeTensor& nested_offset, std::int64_t nested_block_size, const at::Tensor& out);

}  // namespace assay::kernels::torch
