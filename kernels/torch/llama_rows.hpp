// SPDX-License-Identifier: Apache-2.0
// Tensors as the pointwise kernels of kernels/llama take them: matrices by pointer and stride.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/llama/element_type.hpp"

namespace assay::kernels::torch {

/// Throws TypeError for anything else than f16, bf16, f32 and f64; `what` names the tensor.
void check_float(const at::Tensor& t, const char* what);
/// `t` has the type and lies on the device of `like`. Throws TypeError, ValueError.
void check_alike(const at::Tensor& t, const char* what, const at::Tensor& like, const char* like_what);
/// Throws ValueError where the sizes differ. Not for fake tensors, whose sizes are symbols.
void check_same_sizes(const at::Tensor& t, const char* what, const at::Tensor& like, const char* like_what);

/// Of f16, bf16 or f32: f64 has formulas of its own (pointwise_f64.hpp).
llama::ElementType element_type(const at::Tensor& t);

/// [..., C] as [rows, C] with contiguous rows at a fixed stride; copied only where its strides allow no such
/// view.
at::Tensor rows_of(const at::Tensor& t);
/// Of what rows_of gave; data null for an undefined tensor.
llama::InputRows input_rows(const at::Tensor& rows);
llama::OutputRows output_rows(const at::Tensor& rows);

}  // namespace assay::kernels::torch
