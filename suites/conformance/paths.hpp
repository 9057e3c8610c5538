// SPDX-License-Identifier: Apache-2.0
// Our code paths that defects are asked about; implementations of the challenge, whose sources make a row
// stale.
#pragma once

#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::conformance {

inline constexpr const char* kQuantizeCpu = "nf4_quantize_cpu";
inline constexpr const char* kDequantizeCpu = "nf4_dequantize_cpu";
inline constexpr const char* kDequantizeCuda = "nf4_dequantize_cuda";
inline constexpr const char* kCheckpointFiles = "checkpoint_files";
inline constexpr const char* kPackedSteps = "packed_steps";
inline constexpr const char* kPointwiseCpu = "llama_pointwise_cpu";
inline constexpr const char* kLinearLosses = "linear_losses";
inline constexpr const char* kSoftmaxPassCpu = "softmax_pass_cpu";
inline constexpr const char* kVerification = "harness_verification";

std::vector<harness::Implementation> paths();

}  // namespace assay::suites::conformance
