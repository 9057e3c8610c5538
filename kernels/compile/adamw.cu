// SPDX-License-Identifier: Apache-2.0
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/adamw.hpp"

namespace assay::kernels::compile {
namespace {

constexpr int kThreads = 256;
constexpr int kSumBlocks = 528;  // four a multiprocessor of an H100; fixed, so that the order of summation is
constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-8f;

/// What every element needs of the settings.
struct Scalars {
  float rate, keep, clip, correction1, root_correction2;
  bool skipped;
};

__device__ Scalars scalars_of(const float* settings, const float* square_sum) {
  const float largest = settings[3], sum = largest > 0.0f ? *square_sum : 0.0f;
  Scalars s;
  s.rate = settings[0];
  s.keep = 1.0f - settings[0] * settings[2];
  s.clip = largest > 0.0f ? fminf(1.0f, largest / (sqrtf(sum) + 1e-6f)) : 1.0f;
  s.correction1 = 1.0f - powf(kBeta1, settings[1]);
  s.root_correction2 = sqrtf(1.0f - powf(kBeta2, settings[1]));
  s.skipped = !isfinite(sum);
  return s;
}

struct Element {
  float parameter, mean, square;
};

__device__ Element moved(Element e, float gradient, const Scalars& s) {
  const float g = s.clip * gradient;
  e.mean = kBeta1 * e.mean + (1.0f - kBeta1) * g;
  e.square = kBeta2 * e.square + (1.0f - kBeta2) * g * g;
  const float root = sqrtf(e.square) / s.root_correction2 + kEpsilon;
  e.parameter = s.keep * e.parameter - s.rate * (e.mean / s.correction1) / root;
  return e;
}

__device__ void put(float* at, float x) {
  *at = x;
}
__device__ void put(__half* at, float x) {
  *at = __float2half_rn(x);
}
__device__ void put(__nv_bfloat16* at, float x) {
  *at = __float2bfloat16_rn(x);
}

template <class Copy>
__device__ void step_one(const AdamWArgs& a, std::int64_t i, const Scalars& s) {
  const Element e = moved({a.parameter[i], a.mean[i], a.square[i]}, a.gradient[i], s);
  a.parameter[i] = e.parameter, a.mean[i] = e.mean, a.square[i] = e.square;
  if (a.copy != nullptr)
    put(static_cast<Copy*>(a.copy) + i, e.parameter);
}

/// Four elements: 16-byte loads and stores of the f32 arrays.
template <class Copy>
__device__ void step_four(const AdamWArgs& a, std::int64_t i, const Scalars& s) {
  float4 p = *reinterpret_cast<const float4*>(a.parameter + i),
         m = *reinterpret_cast<const float4*>(a.mean + i), v = *reinterpret_cast<const float4*>(a.square + i);
  const float4 g = __ldcs(reinterpret_cast<const float4*>(a.gradient + i));
  const auto one = [&](float& parameter, float& mean, float& square, float gradient) {
    const Element e = moved({parameter, mean, square}, gradient, s);
    parameter = e.parameter, mean = e.mean, square = e.square;
  };
  one(p.x, m.x, v.x, g.x);
  one(p.y, m.y, v.y, g.y);
  one(p.z, m.z, v.z, g.z);
  one(p.w, m.w, v.w, g.w);
  *reinterpret_cast<float4*>(a.parameter + i) = p;
  *reinterpret_cast<float4*>(a.mean + i) = m;
  *reinterpret_cast<float4*>(a.square + i) = v;
  if (a.copy == nullptr)
    return;
  Copy* const copy = static_cast<Copy*>(a.copy) + i;
  put(copy, p.x), put(copy + 1, p.y), put(copy + 2, p.z), put(copy + 3, p.w);
}

template <class Copy>
__global__ void __launch_bounds__(kThreads) adamw_kernel(const AdamWArgs a) {
  const Scalars s = scalars_of(a.settings, a.square_sum);
  if (s.skipped)
    return;
  const std::int64_t i = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * 4;
  if (i + 4 <= a.count) {
    step_four<Copy>(a, i, s);
  } else {
    for (std::int64_t j = i; j < a.count; ++j) step_one<Copy>(a, j, s);
  }
}

/// The block's sum, in thread 0: a fixed tree.
__device__ float block_sum(float x) {
  __shared__ float warps[kThreads / 32];
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_down_sync(0xffffffffu, x, offset);
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = x;
  __syncthreads();
  if (threadIdx.x >= 32)
    return 0.0f;
  x = threadIdx.x < kThreads / 32 ? warps[threadIdx.x] : 0.0f;
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_down_sync(0xffffffffu, x, offset);
  return x;
}

__global__ void __launch_bounds__(kThreads)
    partial_square_sum_kernel(const float* values, std::int64_t count, float* partial) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  const std::int64_t first = std::int64_t{blockIdx.x} * kThreads + threadIdx.x, vectors = count / 4;
  float sum = 0.0f;
  for (std::int64_t i = first; i < vectors; i += stride) {
    const float4 x = reinterpret_cast<const float4*>(values)[i];
    sum += (x.x * x.x + x.y * x.y) + (x.z * x.z + x.w * x.w);
  }
  if (const std::int64_t i = vectors * 4 + first; i < count)
    sum += values[i] * values[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads) sum_kernel(const float* partial, int count, float* out) {
  float sum = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) sum += partial[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    *out = sum;
}

bool aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

void check_pointer(const char* call, const char* name, const void* pointer) {
  if (pointer == nullptr || !aligned(pointer))
    throw std::invalid_argument(std::string(call) + ": expected " + name + " aligned to 16 bytes, found " +
                                (pointer == nullptr ? "null" : "an address that is not"));
}

void check(const AdamWArgs& a) {
  if (a.count < 0)
    throw std::invalid_argument("adamw: expected a count of at least 0, found " + std::to_string(a.count));
  if (a.count == 0)
    return;
  check_pointer("adamw", "gradient", a.gradient);
  check_pointer("adamw", "parameter", a.parameter);
  check_pointer("adamw", "mean", a.mean);
  check_pointer("adamw", "square", a.square);
  if (a.settings == nullptr || a.square_sum == nullptr)
    throw std::invalid_argument("adamw: expected settings and a square sum, found null");
  if (a.copy != nullptr)
    check_pointer("adamw", "copy", a.copy);
}

template <class Copy>
void launch(const AdamWArgs& a, cudaStream_t stream) {
  const std::int64_t blocks = (a.count + 4 * kThreads - 1) / (4 * kThreads);
  adamw_kernel<Copy><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(a);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void adamw(const AdamWArgs& args, cudaStream_t stream) {
  check(args);
  if (args.count == 0)
    return;
  switch (args.copy_type) {
    case CopyType::kFloat16:
      return launch<__half>(args, stream);
    case CopyType::kBfloat16:
      return launch<__nv_bfloat16>(args, stream);
    case CopyType::kFloat32:
      return launch<float>(args, stream);
  }
  throw std::invalid_argument("adamw: unknown copy type " + std::to_string(static_cast<int>(args.copy_type)));
}

std::size_t square_sum_workspace_bytes() {
  return kSumBlocks * sizeof(float);
}

void square_sum(const float* values, std::int64_t count, void* workspace, float* out, cudaStream_t stream) {
  if (count < 0)
    throw std::invalid_argument("square_sum: expected a count of at least 0, found " + std::to_string(count));
  check_pointer("square_sum", "workspace", workspace);
  if (count > 0)
    check_pointer("square_sum", "values", values);
  if (out == nullptr)
    throw std::invalid_argument("square_sum: expected a place for the sum, found null");
  auto* const partial = static_cast<float*>(workspace);
  partial_square_sum_kernel<<<kSumBlocks, kThreads, 0, stream>>>(values, count, partial);
  ASSAY_CUDA_CHECK(cudaGetLastError());
  sum_kernel<<<1, kThreads, 0, stream>>>(partial, kSumBlocks, out);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

}  // namespace assay::kernels::compile
