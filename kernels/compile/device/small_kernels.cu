// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/device/small_kernels.hpp"

namespace assay::kernels::compile {
namespace {

constexpr int kThreads = 256;
constexpr int kOneBlock = 1024;    // of the two kernels that are one block
constexpr int kClearBlocks = 132;  // a multiprocessor of an H100 each; as a rule there is little to clear
constexpr std::uint16_t kNotANumber = 0x7fff;  // in f16 and in bf16

template <class Vector>
__device__ Vector not_a_number() {
  if constexpr (sizeof(Vector) == 2)
    return kNotANumber;
  else
    return make_uint4(0x7fff7fffu, 0x7fff7fffu, 0x7fff7fffu, 0x7fff7fffu);
}

/// A block a row.
template <class Vector>
__global__ void __launch_bounds__(kThreads) embed_kernel(const Embed a) {
  const std::int64_t row = blockIdx.x, token = a.tokens[row];
  const std::int64_t vectors = a.columns * 2 / static_cast<std::int64_t>(sizeof(Vector));
  const bool known = token >= 0 && token < a.vocab;
  const Vector* const from = static_cast<const Vector*>(a.embedding) + (known ? token : 0) * vectors;
  Vector* const to = static_cast<Vector*>(a.out) + row * vectors;
  for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads)
    to[i] = known ? from[i] : not_a_number<Vector>();
}

__global__ void __launch_bounds__(kThreads) clear_rows_kernel(const ClearRows a) {
  const std::int64_t first = max(std::int64_t{0}, static_cast<std::int64_t>(*a.used));
  for (const ClearRows::Matrix& matrix : a.matrices) {
    if (matrix.data == nullptr)
      continue;
    const std::int64_t vectors = matrix.columns / 8;
    for (std::int64_t row = first + blockIdx.x; row < a.rows; row += gridDim.x) {
      uint4* const to = static_cast<uint4*>(matrix.data) + row * vectors;
      for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads) to[i] = make_uint4(0, 0, 0, 0);
    }
  }
}

/// Sum over the block, in thread 0: a fixed tree.
template <class T>
__device__ T block_sum(T x) {
  __shared__ T warps[kOneBlock / 32];
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_down_sync(0xffffffffu, x, offset);
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = x;
  __syncthreads();
  if (threadIdx.x >= 32)
    return T{0};
  x = warps[threadIdx.x];
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_down_sync(0xffffffffu, x, offset);
  return x;
}

__global__ void __launch_bounds__(kOneBlock) loss_scale_kernel(const LossScale a) {
  long long count = 0;
  for (std::int64_t i = threadIdx.x; i < a.rows; i += kOneBlock) count += a.labels[i] != a.ignore_index;
  count = block_sum(count);
  if (threadIdx.x == 0)
    *a.scale = 1.0f / static_cast<float>(max(count, 1LL));
}

__global__ void __launch_bounds__(kThreads) scale_kernel(const Scale a) {
  const float factor = *a.factor;
  const std::int64_t i = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * 4;
  if (i + 4 <= a.count) {
    float4* const at = reinterpret_cast<float4*>(a.values + i);
    float4 x = *at;
    x.x *= factor, x.y *= factor, x.z *= factor, x.w *= factor;
    *at = x;
  } else {
    for (std::int64_t j = i; j < a.count; ++j) a.values[j] *= factor;
  }
}

__global__ void __launch_bounds__(kOneBlock) mean_loss_kernel(const MeanLoss a) {
  float sum = 0.0f;
  for (std::int64_t i = threadIdx.x; i < a.rows; i += kOneBlock) sum += a.losses[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    *a.mean = sum * *a.scale;
}

std::invalid_argument refuse(const char* call, const std::string& expected, const std::string& found) {
  return std::invalid_argument(std::string(call) + ": expected " + expected + ", found " + found);
}

bool aligned(const void* pointer, std::size_t to) {
  return reinterpret_cast<std::uintptr_t>(pointer) % to == 0;
}

void check_pointer(const char* call, const char* name, const void* pointer, std::size_t alignment) {
  if (pointer == nullptr || !aligned(pointer, alignment))
    throw refuse(call, std::string(name) + " aligned to " + std::to_string(alignment) + " bytes",
                 pointer == nullptr ? "null" : "an address that is not");
}

void check_sizes(const char* call, std::int64_t rows, std::int64_t columns) {
  if (rows < 0 || columns < 0 || rows > std::numeric_limits<std::int32_t>::max())
    throw refuse(call, "0 to 2^31-1 rows of 0 or more columns",
                 std::to_string(rows) + " rows of " + std::to_string(columns));
}

}  // namespace

void embed(const Embed& args, cudaStream_t stream) {
  check_sizes("embed", args.rows, args.columns);
  if (args.rows == 0 || args.columns == 0)
    return;
  if (args.vocab < 1)
    throw refuse("embed", "a vocabulary of at least 1", std::to_string(args.vocab));
  check_pointer("embed", "tokens", args.tokens, 8);
  check_pointer("embed", "embedding", args.embedding, 2);
  check_pointer("embed", "out", args.out, 2);
  const bool vectors = args.columns % 8 == 0 && aligned(args.embedding, 16) && aligned(args.out, 16);
  const auto blocks = static_cast<unsigned>(args.rows);
  if (vectors)
    embed_kernel<uint4><<<blocks, kThreads, 0, stream>>>(args);
  else
    embed_kernel<std::uint16_t><<<blocks, kThreads, 0, stream>>>(args);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

void clear_rows(const ClearRows& args, cudaStream_t stream) {
  for (const ClearRows::Matrix& matrix : args.matrices) {
    if (matrix.data == nullptr)
      continue;
    check_sizes("clear_rows", args.rows, matrix.columns);
    check_pointer("clear_rows", "matrix", matrix.data, 16);
    if (matrix.columns % 8 != 0)
      throw refuse("clear_rows", "rows of a multiple of 8 elements", std::to_string(matrix.columns));
  }
  if (args.rows == 0)
    return;
  check_pointer("clear_rows", "used", args.used, 4);
  clear_rows_kernel<<<kClearBlocks, kThreads, 0, stream>>>(args);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

void find_loss_scale(const LossScale& args, cudaStream_t stream) {
  check_sizes("find_loss_scale", args.rows, 1);
  if (args.rows > 0)
    check_pointer("find_loss_scale", "labels", args.labels, 8);
  check_pointer("find_loss_scale", "scale", args.scale, 4);
  loss_scale_kernel<<<1, kOneBlock, 0, stream>>>(args);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

void scale(const Scale& args, cudaStream_t stream) {
  constexpr std::int64_t kPerBlock = 4 * kThreads;
  if (args.count < 0 || args.count / kPerBlock >= std::numeric_limits<std::int32_t>::max())
    throw refuse("scale", "0 or more values, fewer than 2^41", std::to_string(args.count));
  if (args.count == 0)
    return;
  check_pointer("scale", "values", args.values, 16);
  check_pointer("scale", "factor", args.factor, 4);
  const auto blocks = static_cast<unsigned>((args.count + kPerBlock - 1) / kPerBlock);
  scale_kernel<<<blocks, kThreads, 0, stream>>>(args);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

void mean_loss(const MeanLoss& args, cudaStream_t stream) {
  check_sizes("mean_loss", args.rows, 1);
  if (args.rows > 0)
    check_pointer("mean_loss", "losses", args.losses, 4);
  check_pointer("mean_loss", "scale", args.scale, 4);
  check_pointer("mean_loss", "mean", args.mean, 4);
  mean_loss_kernel<<<1, kOneBlock, 0, stream>>>(args);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

}  // namespace assay::kernels::compile
