// SPDX-License-Identifier: Apache-2.0
// What remains of a product whose inner size is 0.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/common/matmul.hpp"

namespace assay::kernels {

struct MatrixExtent {
  std::int64_t rows = 0, columns = 0, stride = 0;  ///< stride in elements
};

/// d = beta · d on a row-major device matrix, each element rounded once; beta 0 writes zeros without reading.
void scale_matrix(void* d, MatmulType type, const MatrixExtent& extent, float beta, cudaStream_t stream);

}  // namespace assay::kernels
