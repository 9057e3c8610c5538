// SPDX-License-Identifier: Apache-2.0
// A rare case of matmul: written for few lines, not for speed.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/common/scale_matrix.hpp"

namespace assay::kernels {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMaxBlocks = 1 << 16;

__device__ float widen(__half x) {
  return __half2float(x);
}
__device__ float widen(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ float widen(float x) {
  return x;
}
__device__ void narrow(float x, __half& to) {
  to = __float2half_rn(x);
}
__device__ void narrow(float x, __nv_bfloat16& to) {
  to = __float2bfloat16_rn(x);
}
__device__ void narrow(float x, float& to) {
  to = x;
}

template <class T>
__global__ void scale_matrix_kernel(T* d, const MatrixExtent extent, float beta) {
  const std::int64_t count = extent.rows * extent.columns, step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    T& element = d[i / extent.columns * extent.stride + i % extent.columns];
    narrow(beta * widen(element), element);
  }
}

template <class T>
void launch(void* d, const MatrixExtent& extent, float beta, cudaStream_t stream) {
  const std::int64_t blocks = (extent.rows * extent.columns + kThreads - 1) / kThreads;
  scale_matrix_kernel<<<static_cast<unsigned>(std::min(blocks, kMaxBlocks)), kThreads, 0, stream>>>(
      static_cast<T*>(d), extent, beta);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

std::size_t size_of(MatmulType type) {
  return type == MatmulType::kFloat32 ? 4 : 2;
}

}  // namespace

void scale_matrix(void* d, MatmulType type, const MatrixExtent& extent, float beta, cudaStream_t stream) {
  if (extent.rows == 0 || extent.columns == 0 || beta == 1.0f)
    return;
  if (beta == 0.0f) {
    const auto size = size_of(type);
    ASSAY_CUDA_CHECK(cudaMemset2DAsync(d, static_cast<std::size_t>(extent.stride) * size, 0,
                                       static_cast<std::size_t>(extent.columns) * size,
                                       static_cast<std::size_t>(extent.rows), stream));
    return;
  }
  switch (type) {
    case MatmulType::kFloat16:
      return launch<__half>(d, extent, beta, stream);
    case MatmulType::kBfloat16:
      return launch<__nv_bfloat16>(d, extent, beta, stream);
    case MatmulType::kFloat32:
      return launch<float>(d, extent, beta, stream);
  }
  throw std::invalid_argument("scale_matrix: unknown type " + std::to_string(static_cast<int>(type)));
}

}  // namespace assay::kernels
