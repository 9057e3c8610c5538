// SPDX-License-Identifier: Apache-2.0
// Launching a kernel that takes one struct, and total dispatch over element types.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/llama/element_type.hpp"

namespace assay::kernels::llama {

struct Launch {
  std::int64_t blocks;
  int threads;
  std::size_t shared_bytes;
  cudaStream_t stream;
};

template <class Arguments>
void launch(void (*kernel)(Arguments), const Launch& shape, const Arguments& arguments) {
  if (shape.blocks > std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument("pointwise kernels: expected fewer than 2^31 blocks, found " +
                                std::to_string(shape.blocks) + "; split the rows");
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = shape.stream;
  ASSAY_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, arguments));
}

/// Calls start<T>() of the type.
template <class Start>
void dispatch(ElementType type, Start start) {
  switch (type) {
    case ElementType::kFloat16:
      return start.template operator()<__half>();
    case ElementType::kBfloat16:
      return start.template operator()<__nv_bfloat16>();
    case ElementType::kFloat32:
      return start.template operator()<float>();
  }
  throw std::invalid_argument("pointwise kernels: unknown element type " +
                              std::to_string(static_cast<int>(type)));
}

}  // namespace assay::kernels::llama
