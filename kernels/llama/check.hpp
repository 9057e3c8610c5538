// SPDX-License-Identifier: Apache-2.0
// What the pointwise kernels accept, on the GPU and on the CPU alike, and whether rows are whole aligned
// vectors. Pure functions of the arguments.
#pragma once

#include "kernels/llama/rms_norm.hpp"
#include "kernels/llama/rope.hpp"
#include "kernels/llama/swiglu.hpp"

namespace assay::kernels::llama {

/// Throw std::invalid_argument with what was expected and found. Strides of 0 are still 0 afterwards.
void check(const RmsNormForward& args);
void check(const RmsNormBackward& args);
void check(const Rope& args);
void check(const SwigluForward& args);
void check(const SwigluBackward& args);

/// With strides of 0 replaced by the length of a row.
RmsNormForward with_strides(RmsNormForward args);
RmsNormBackward with_strides(RmsNormBackward args);
SwigluForward with_strides(SwigluForward args);
SwigluBackward with_strides(SwigluBackward args);

/// True where every row that is read or written starts at a multiple of 16 bytes. Strides filled in.
bool is_aligned(const RmsNormForward& args);
bool is_aligned(const RmsNormBackward& args);
bool is_aligned(const Rope& args);
bool is_aligned(const SwigluForward& args);
bool is_aligned(const SwigluBackward& args);

}  // namespace assay::kernels::llama
