// SPDX-License-Identifier: Apache-2.0
// The right steps of nf4/dequantize as a plain kernel, one thread a weight. A mutant derives from
// PlainDeviceSteps, replaces one step and is right in all others. Own table, as in plain_cpu.hpp.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "harness/device/device.hpp"
#include "suites/nf4/mutants/mutant.hpp"

namespace assay::suites::nf4::mutants {

struct PlainDeviceSteps {
  static __device__ float code(int nibble) {
    constexpr float kCode[16] = {-1.0f,
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
    return kCode[nibble];
  }
  static __device__ int nibble(const PackedWeights& w, std::int64_t i) {
    return i % 2 == 0 ? w.packed[i / 2] >> 4 : w.packed[i / 2] & 15;
  }
  static __device__ float absmax(const PackedWeights& w, std::int64_t block) {
    const float scaled =
        __fmul_rn(w.nested_code[w.absmax_codes[block]], w.nested_absmax[block / w.nested_block_size]);
    return __fadd_rn(scaled, *w.nested_offset);
  }
};

inline __device__ void round_to(float& to, float value) {
  to = value;
}
inline __device__ void round_to(__half& to, float value) {
  to = __float2half_rn(value);
}
inline __device__ void round_to(__nv_bfloat16& to, float value) {
  to = __float2bfloat16_rn(value);
}

template <class Steps, class T>
__global__ void plain_kernel(PackedWeights w, T* out) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < w.num_weights) {
    round_to(out[i], __fmul_rn(Steps::code(Steps::nibble(w, i)), Steps::absmax(w, i / w.block_size)));
  }
}

template <class Steps>
void launch_plain(const PackedWeights& w, const harness::TensorView& out, cudaStream_t stream) {
  constexpr int kThreads = 256;
  const auto blocks = static_cast<unsigned>((w.num_weights + kThreads - 1) / kThreads);
  switch (out.dtype) {
    case harness::Dtype::kFloat32:
      plain_kernel<Steps><<<blocks, kThreads, 0, stream>>>(w, out.as<float>());
      break;
    case harness::Dtype::kFloat16:
      plain_kernel<Steps><<<blocks, kThreads, 0, stream>>>(w, out.as<__half>());
      break;
    default:
      plain_kernel<Steps><<<blocks, kThreads, 0, stream>>>(w, out.as<__nv_bfloat16>());
  }
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

/// A mutant that does all weights by its own steps, on the given stream.
template <class Steps>
harness::Implementation cuda_mutant_by_steps(std::string name, const char* check, std::string about,
                                             Needs needs = {}) {
  return mutant(
      std::move(name), harness::DeviceKind::kCuda, check, std::move(about),
      []() -> Body {
        return [](const PackedWeights& w, const harness::TensorView& out, harness::Stream stream) {
          launch_plain<Steps>(w, out, stream);
        };
      },
      needs);
}

}  // namespace assay::suites::nf4::mutants
