// SPDX-License-Identifier: Apache-2.0
// Three plain kernels. Tile and thread counts are bitsandbytes' own (64 threads, 16 weights a thread, CUB
// transposes), so that this stands for its speed where the real library is absent; where it is present, the
// faster of both is the baseline.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cub/block/block_load.cuh>
#include <cub/block/block_store.cuh>
#include <stdexcept>
#include <string>

#include "reference/nf4/unsloth_sequence.hpp"

namespace assay::reference::nf4 {
namespace {

__device__ const float kNf4Code[16] = {-1.0f,
                                       -0.6961928009986877f,
                                       -0.5250730514526367f,
                                       -0.39491748809814453f,
                                       -0.28444138169288635f,
                                       -0.18477343022823334f,
                                       -0.09105003625154495f,
                                       0.0f,
                                       0.07958029955625534f,
                                       0.16093020141124725f,
                                       0.24611230194568634f,
                                       0.33791524171829224f,
                                       0.44070982933044434f,
                                       0.5626170039176941f,
                                       0.7229568362236023f,
                                       1.0f};
__device__ const float kFp4Code[16] = {
    0.0f,  0.005208333333f,  0.66666667f,  1.0f,  0.33333333f,  0.5f,  0.16666667f,  0.25f,
    -0.0f, -0.005208333333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f};

template <class Out>
__device__ Out round_to(float x);
template <>
__device__ __half round_to<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __nv_bfloat16 round_to<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ float round_to<float>(float x) {
  return x;
}

constexpr int kThreads = 64;
constexpr int kPerThread = 8;  // bytes: 16 weights, or 8 absmax codes
constexpr int kTile = kThreads * kPerThread;

/// absmax[i] = code[codes[i]] * nested_absmax[i / 256]
__global__ void absmax_kernel(const float* code, const std::uint8_t* codes, const float* nested_absmax,
                              float* absmax, int count) {
  using Load = cub::BlockLoad<std::uint8_t, kThreads, kPerThread, cub::BLOCK_LOAD_WARP_TRANSPOSE>;
  using Store = cub::BlockStore<float, kThreads, kPerThread, cub::BLOCK_STORE_WARP_TRANSPOSE>;
  __shared__ typename Load::TempStorage load;
  __shared__ typename Store::TempStorage store;
  const int first = blockIdx.x * kTile;
  const int valid = min(kTile, count - first);
  std::uint8_t codes_of_thread[kPerThread];
  float values[kPerThread];
  const int group = min(first + static_cast<int>(threadIdx.x) * kPerThread, count - 1) >> 8;
  const float scale = __ldg(nested_absmax + group);
  __syncthreads();
  Load(load).Load(codes + first, codes_of_thread, valid, std::uint8_t{128});
  for (int j = 0; j < kPerThread; ++j) values[j] = __fmul_rn(__ldg(code + codes_of_thread[j]), scale);
  __syncthreads();
  Store(store).Store(absmax + first, values, valid);
}

__global__ void add_offset_kernel(float* absmax, const float* offset, std::int64_t count) {
  const std::int64_t i = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 4;
  const float o = *offset;
  if (i + 4 <= count) {
    float4 v = *reinterpret_cast<float4*>(absmax + i);
    v.x = __fadd_rn(v.x, o), v.y = __fadd_rn(v.y, o), v.z = __fadd_rn(v.z, o), v.w = __fadd_rn(v.w, o);
    *reinterpret_cast<float4*>(absmax + i) = v;
  } else {
    for (std::int64_t j = i; j < count; ++j) absmax[j] = __fadd_rn(absmax[j], o);
  }
}

template <class Out>
__global__ void decode_kernel(const std::uint8_t* packed, const float* absmax, Out* out,
                              int block_bytes_shift, bool fp4, std::int64_t count) {
  using Load = cub::BlockLoad<std::uint8_t, kThreads, kPerThread, cub::BLOCK_LOAD_WARP_TRANSPOSE>;
  using Store = cub::BlockStore<Out, kThreads, 2 * kPerThread, cub::BLOCK_STORE_WARP_TRANSPOSE>;
  __shared__ typename Load::TempStorage load;
  __shared__ typename Store::TempStorage store;
  const std::int64_t bytes_in_all = (count + 1) / 2;
  const std::int64_t last_block = (bytes_in_all - 1) >> block_bytes_shift;
  const float* code = fp4 ? kFp4Code : kNf4Code;
  std::uint8_t bytes[kPerThread];
  Out values[2 * kPerThread];
  // Tiles a grid apart, as the original walks them; a grid covers all, so each block makes one turn.
  for (std::int64_t first = std::int64_t{blockIdx.x} * kTile; first < bytes_in_all;
       first += std::int64_t{gridDim.x} * kTile) {
    const int valid_bytes = static_cast<int>(min(std::int64_t{kTile}, bytes_in_all - first));
    const int valid = static_cast<int>(min(std::int64_t{2 * kTile}, count - first * 2));
    const std::int64_t block = (first + threadIdx.x * kPerThread) >> block_bytes_shift;
    const float scale = __ldg(absmax + min(block, last_block));
    __syncthreads();
    Load(load).Load(packed + first, bytes, valid_bytes, std::uint8_t{128});
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) {
      values[2 * j] = round_to<Out>(__fmul_rn(code[bytes[j] >> 4], scale));
      values[2 * j + 1] = round_to<Out>(__fmul_rn(code[bytes[j] & 15], scale));
    }
    __syncthreads();
    Store(store).Store(out + first * 2, values, valid);
  }
}

void check_launch(const char* what) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string("unsloth_sequence: ") + what +
                             " failed: " + cudaGetErrorString(error));
  }
}

template <class Out>
void decode(const UnslothSequenceArgs& args, cudaStream_t stream) {
  int shift = 0;
  while ((1 << (shift + 1)) < args.block_size) ++shift;  // log2(block_size / 2)
  const auto blocks = static_cast<unsigned>((args.num_weights + 2 * kTile - 1) / (2 * kTile));
  decode_kernel<Out><<<blocks, kThreads, 0, stream>>>(args.packed, args.absmax, static_cast<Out*>(args.out),
                                                      shift, args.fp4, args.num_weights);
  check_launch("decode");
}

}  // namespace

void add_offset(float* absmax, const float* offset, std::int64_t count, cudaStream_t stream) {
  constexpr int threads = 256;
  const auto blocks = static_cast<unsigned>((count + threads * 4 - 1) / (threads * 4));
  add_offset_kernel<<<blocks, threads, 0, stream>>>(absmax, offset, count);
  check_launch("add_offset");
}

void unsloth_sequence(const UnslothSequenceArgs& args, cudaStream_t stream) {
  if (args.num_weights == 0)
    return;
  if (args.num_weights < 0 || args.num_weights > 0x7fffffff) {
    throw std::invalid_argument(
        "unsloth_sequence: expected 0 to 2^31-1 weights as bitsandbytes counts them, found " +
        std::to_string(args.num_weights));
  }
  const std::int64_t blocks = (args.num_weights + args.block_size - 1) / args.block_size;
  absmax_kernel<<<static_cast<unsigned>((blocks + kTile - 1) / kTile), kThreads, 0, stream>>>(
      args.nested_code, args.absmax_codes, args.nested_absmax, args.absmax, static_cast<int>(blocks));
  check_launch("absmax");
  add_offset(args.absmax, args.nested_offset, blocks, stream);
  switch (args.out_type) {
    case OutputType::kFloat16:
      return decode<__half>(args, stream);
    case OutputType::kBfloat16:
      return decode<__nv_bfloat16>(args, stream);
    case OutputType::kFloat32:
      return decode<float>(args, stream);
  }
  throw std::invalid_argument("unsloth_sequence: unknown output type");
}

}  // namespace assay::reference::nf4
