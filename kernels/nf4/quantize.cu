// SPDX-License-Identifier: Apache-2.0
// Checks and launches of the quantizer.
#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/nf4/quantize.hpp"
#include "kernels/nf4/quantize_kernel.cuh"

namespace assay::kernels::nf4 {
namespace {

constexpr int kThreads = 256;

unsigned grid(std::int64_t count, std::int64_t per_block) {
  const std::int64_t blocks = (count + per_block - 1) / per_block;
  if (blocks > 0x7fffffff) {
    throw std::invalid_argument("quantize: expected at most 2^31-1 thread blocks, found " +
                                std::to_string(blocks) + "; split the tensor");
  }
  return static_cast<unsigned>(blocks);
}

template <class In>
void launch(const QuantizeArgs& args, cudaStream_t stream) {
  const int lanes = std::min(32, args.block_size / 8);
  const DeviceQuantize p{
      args.in,     args.num_weights, args.block_size, lanes, args.codebook == Codebook::kFp4,
      args.packed, args.absmax};
  const std::int64_t blocks = (args.num_weights + args.block_size - 1) / args.block_size;
  quantize_kernel<In><<<grid(blocks, kThreads / lanes), kThreads, 0, stream>>>(p);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void quantize(const QuantizeArgs& args, cudaStream_t stream) {
  validate(args);
  if (args.num_weights == 0)
    return;
  switch (args.in_type) {
    case ScalarType::kFloat16:
      return launch<__half>(args, stream);
    case ScalarType::kBfloat16:
      return launch<__nv_bfloat16>(args, stream);
    case ScalarType::kFloat32:
      return launch<float>(args, stream);
  }
  throw std::invalid_argument("quantize: unknown input type " +
                              std::to_string(static_cast<int>(args.in_type)));
}

void quantize_absmax(const QuantizeAbsmaxArgs& args, cudaStream_t stream) {
  validate(args);
  if (args.num_blocks == 0)
    return;
  const std::int64_t blocks = (args.num_blocks + args.nested_block_size - 1) / args.nested_block_size;
  quantize_absmax_kernel<<<grid(blocks, kThreads / 32), kThreads, 0, stream>>>(args);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

void mean_absmax(const float* absmax, std::int64_t count, float* offset, cudaStream_t stream) {
  if (count <= 0 || absmax == nullptr || offset == nullptr) {
    throw std::invalid_argument(
        "mean_absmax: expected at least one absmax and non-null pointers, found count " +
        std::to_string(count));
  }
  mean_absmax_kernel<<<1, 1024, 0, stream>>>(absmax, count, offset);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

}  // namespace assay::kernels::nf4
