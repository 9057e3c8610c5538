// SPDX-License-Identifier: Apache-2.0
// [..., H] seen as rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>

namespace assay::kernels::backprop {

/// The first `leading` extents made one; a view where the strides allow it.
at::Tensor flat_rows(const at::Tensor& t, std::int64_t leading);
/// Hidden states as [N, H]; refuses scalars and undefined tensors.
at::Tensor flat_hidden(const at::Tensor& hidden);
/// A row argument as [N, …]; refuses other rows or devices than those of `hidden`, and one that wants a
/// gradient.
at::Tensor flat_row_argument(const at::Tensor& t, std::size_t index, const at::Tensor& hidden);

}  // namespace assay::kernels::backprop
