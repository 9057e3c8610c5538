// SPDX-License-Identifier: Apache-2.0
// What the copy engine is told about a tensor.
#pragma once

#include "kernels/attention/attention.hpp"

namespace assay::kernels::attention {

/// Boxes of 64 elements of one head and `box_rows` tokens of one sequence, swizzled by 128 bytes. The view
/// has at least one row. Throws std::runtime_error with the driver's message for what the engine cannot do.
TensorMap tensor_map(const View& view, const HeadType& head, int heads, const Sequences& sequences, int rows,
                     int box_rows, const char* name);

}  // namespace assay::kernels::attention
