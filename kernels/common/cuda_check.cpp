// SPDX-License-Identifier: Apache-2.0
// Turns a CUDA error code into an exception that says where and what to do.
#include "kernels/common/cuda_check.hpp"

#include <stdexcept>
#include <string>

namespace assay::kernels {

void check_cuda(cudaError_t error, const char* call, const char* file, int line) {
  if (error == cudaSuccess)
    return;
  std::string text = std::string(file) + ":" + std::to_string(line) + ": " + call +
                     " failed: " + cudaGetErrorName(error) + " (" + cudaGetErrorString(error) + ")";
  if (error == cudaErrorNoKernelImageForDevice) {
    text +=
        "; this build has no code for the current GPU: rebuild with its architecture in "
        "CMAKE_CUDA_ARCHITECTURES";
  }
  throw std::runtime_error(text);
}

}  // namespace assay::kernels
