// SPDX-License-Identifier: Apache-2.0
// Every CUDA call and launch of the kernels is checked with these.
#pragma once

#include <cuda_runtime_api.h>

namespace assay::kernels {

/// Throws std::runtime_error naming the call, its place and CUDA's message.
void check_cuda(cudaError_t error, const char* call, const char* file, int line);

}  // namespace assay::kernels

#define ASSAY_CUDA_CHECK(call) ::assay::kernels::check_cuda((call), #call, __FILE__, __LINE__)
