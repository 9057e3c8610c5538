// SPDX-License-Identifier: Apache-2.0
// Products of 16-bit operands that keep what the tensor cores computed: f32 accumulation and f32 results, on
// both devices. f32 and f64 operands give results of their own type.
//
// On a GPU, large products of 16-bit operands are the fastest of cuBLASLt's proposals: the first call of a
// size times them and waits for the device, unless it is captured (../../common/matmul.hpp, kTimed).
#pragma once

#include <ATen/core/Tensor.h>

namespace assay::kernels::backprop {

/// f32 for f16, bf16 and f32; f64 for f64.
at::ScalarType accumulation_type(at::ScalarType type);

/// a [m, k] · b [k, n] in accumulation_type. Views with any strides. On the CPU 16-bit operands are widened
/// block by block, so no f32 copy of a whole vocabulary is ever made.
at::Tensor product(const at::Tensor& a, const at::Tensor& b);

/// The same as the beginning of a sum that add_product goes on with: the first call of a size times both.
at::Tensor begin_sum(const at::Tensor& a, const at::Tensor& b);

/// sum [m, n] += a [m, k] · b [k, n]; `sum` in accumulation_type.
void add_product(at::Tensor& sum, const at::Tensor& a, const at::Tensor& b);

/// out [m, n] = a [m, k] · b [k, n] on a GPU; `out` of the operands' type, rounded once by the product
/// itself, or in accumulation_type.
void product_into(at::Tensor& out, const at::Tensor& a, const at::Tensor& b);

}  // namespace assay::kernels::backprop
