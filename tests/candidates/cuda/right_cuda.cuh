// SPDX-License-Identifier: Apache-2.0
// nf4/dequantize on a GPU, plainly: the right answer for CUDA candidates that are wrong in one way alone.
#pragma once

#include <assay_candidate.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace {

__constant__ float kCode[16] = {-1.0f,
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

__device__ float absmax_of(const AssayNf4Args& a, int64_t block) {
  if (a.absmax != nullptr)
    return a.absmax[block];
  const float product =
      __fmul_rn(a.nested_code[a.absmax_codes[block]], a.nested_absmax[block / a.nested_block_size]);
  return __fadd_rn(product, a.nested_offset[0]);
}

__global__ void dequantize_kernel(AssayNf4Args a) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= a.rows * a.cols)
    return;
  const uint8_t byte = a.packed[i / 2];
  const float weight = __fmul_rn(kCode[i % 2 == 0 ? byte >> 4 : byte & 15], absmax_of(a, i / a.block_size));
  if (a.out_dtype == ASSAY_F32)
    static_cast<float*>(a.out)[i] = weight;
  else if (a.out_dtype == ASSAY_F16)
    static_cast<__half*>(a.out)[i] = __float2half_rn(weight);
  else
    static_cast<__nv_bfloat16*>(a.out)[i] = __float2bfloat16_rn(weight);
}

const char* last_error = nullptr;

int32_t result_of(cudaError_t error) {
  last_error = error == cudaSuccess ? nullptr : cudaGetErrorString(error);
  if (error == cudaErrorMemoryAllocation)
    return ASSAY_OUT_OF_MEMORY;
  return error == cudaSuccess ? ASSAY_OK : ASSAY_ERROR;
}

int32_t right_dequantize(const AssayNf4Args& a, cudaStream_t stream) {
  if (a.device != ASSAY_CUDA || a.codebook != ASSAY_NF4) {
    last_error = "only NF4 on a GPU";
    return ASSAY_UNSUPPORTED;
  }
  const int64_t blocks = (a.rows * a.cols + 255) / 256;
  dequantize_kernel<<<static_cast<unsigned>(blocks), 256, 0, stream>>>(a);
  return result_of(cudaGetLastError());
}

cudaStream_t stream_of(const AssayNf4Args* a) {
  return static_cast<cudaStream_t>(a->stream);
}

}  // namespace

extern "C" int32_t assay_candidate_abi_version(void) {
  return ASSAY_CANDIDATE_ABI_VERSION;
}
extern "C" const char* assay_candidate_error(void) {
  return last_error;
}
