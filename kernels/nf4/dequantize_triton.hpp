// SPDX-License-Identifier: Apache-2.0
// The Triton twin of dequantize.hpp: the same work by one Triton kernel, compiled ahead of time to machine
// code.
#pragma once

#include <cuda_runtime_api.h>

#include <vector>

#include "kernels/common/triton_image.hpp"
#include "kernels/nf4/dequantize.hpp"

namespace assay::kernels::nf4 {

/// As `dequantize`: enqueues one kernel, bit-exact to format.hpp's formula, any length and any pointer
/// alignment that validate() allows. Throws std::runtime_error when nothing that was built runs on the
/// current GPU.
void dequantize_triton(const DequantizeArgs& args, cudaStream_t stream);

/// What the current GPU would run for bf16 and nested absmax; throws as above. format kPtx: compiled by the
/// driver.
const TritonImage& dequantize_triton_target();

/// Every image in this build; empty with ASSAY_TRITON=OFF.
const std::vector<TritonImage>& dequantize_triton_images();

/// Name of the image for these arguments, for example "bf16_nested_aligned".
std::string_view dequantize_triton_image_name(const DequantizeArgs& args);

}  // namespace assay::kernels::nf4
