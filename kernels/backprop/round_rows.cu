// SPDX-License-Identifier: Apache-2.0
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/backprop/round_rows.hpp"
#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::backprop {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kVectorsPerThread = 2;  // 64 bytes read, 32 written
constexpr std::int64_t kVector = 8;            // elements of a 16-byte store
constexpr std::int64_t kMaxRowsOfBlocks = 65535;

__device__ unsigned rounded_pair(float low, float high, __half*) {
  const __half2 pair = __floats2half2_rn(low, high);
  return reinterpret_cast<const unsigned&>(pair);
}
__device__ unsigned rounded_pair(float low, float high, __nv_bfloat16*) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const unsigned&>(pair);
}
__device__ void rounded(float x, __half& to) {
  to = __float2half_rn(x);
}
__device__ void rounded(float x, __nv_bfloat16& to) {
  to = __float2bfloat16_rn(x);
}

/// Eight elements, widened.
struct Eight {
  float x[kVector];
};
__device__ Eight read(const float* from) {
  const float4 a = __ldcs(reinterpret_cast<const float4*>(from)),
               b = __ldcs(reinterpret_cast<const float4*>(from) + 1);
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}
template <class T>
__device__ Eight read(const T* from) {
  const uint4 bits = __ldcs(reinterpret_cast<const uint4*>(from));
  const T* const values = reinterpret_cast<const T*>(&bits);
  Eight out;
  for (int i = 0; i < kVector; ++i) out.x[i] = static_cast<float>(values[i]);
  return out;
}

template <class From, class T>
__device__ void round_vector(const From* from, T* to, bool counts, float factor) {
  uint4 out = make_uint4(0, 0, 0, 0);
  if (counts) {
    Eight e = read(from);
    for (float& x : e.x) x *= factor;
    out = make_uint4(rounded_pair(e.x[0], e.x[1], to), rounded_pair(e.x[2], e.x[3], to),
                     rounded_pair(e.x[4], e.x[5], to), rounded_pair(e.x[6], e.x[7], to));
  }
  *reinterpret_cast<uint4*>(to) = out;
}

/// blockIdx.y walks over rows, blockIdx.x over a row's columns. kWhole: rows are whole aligned vectors.
template <class From, class T, bool kWhole>
__global__ void __launch_bounds__(kThreads) round_rows_kernel(const RoundRows args) {
  const float factor = args.factor == nullptr ? 1.0f : *args.factor;  // 1 · x is x, NaN stays NaN
  for (std::int64_t row = blockIdx.y; row < args.rows; row += gridDim.y) {
    const bool counts = args.counts == nullptr || args.counts[row];
    const From* const from = static_cast<const From*>(args.from) + row * args.from_stride;
    T* const to = static_cast<T*>(args.to) + row * args.to_stride;
    const std::int64_t first =
        (std::int64_t{blockIdx.x} * kThreads * kVectorsPerThread + threadIdx.x) * kVector;
    for (int i = 0; i < kVectorsPerThread; ++i) {
      const std::int64_t column = first + i * kThreads * kVector;
      if constexpr (kWhole) {
        if (column < args.columns)
          round_vector(from + column, to + column, counts, factor);
      } else {
        for (std::int64_t c = column; c < std::min(column + kVector, args.columns); ++c)
          rounded(counts ? factor * static_cast<float>(from[c]) : 0.0f, to[c]);
      }
    }
  }
}

void check(const RoundRows& a) {
  const auto refuse = [](const std::string& what) {
    throw std::invalid_argument("round_rows: expected " + what);
  };
  if (a.type != LogitType::kFloat16 && a.type != LogitType::kBfloat16)
    refuse("16-bit results, found type " + std::to_string(static_cast<int>(a.type)));
  if (a.rows < 0 || a.columns < 0 || a.from_stride < a.columns || a.to_stride < a.columns)
    refuse("sizes of at least 0 and strides of at least a row, found " + std::to_string(a.rows) +
           " rows of " + std::to_string(a.columns) + ", strides " + std::to_string(a.from_stride) + " and " +
           std::to_string(a.to_stride));
  if (a.rows > 0 && a.columns > 0 && (a.from == nullptr || a.to == nullptr))
    refuse("both matrices, found a null pointer");
}

bool whole_vectors(const RoundRows& a) {
  const auto aligned = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  return aligned(a.from) && aligned(a.to) && a.columns % kVector == 0 && a.from_stride % kVector == 0 &&
         a.to_stride % kVector == 0;
}

template <class From, class T>
void launch(const RoundRows& a, cudaStream_t stream) {
  constexpr std::int64_t kColumns = kThreads * kVectorsPerThread * kVector;
  const dim3 grid(static_cast<unsigned>((a.columns + kColumns - 1) / kColumns),
                  static_cast<unsigned>(std::min(a.rows, kMaxRowsOfBlocks)));
  if (whole_vectors(a)) {
    round_rows_kernel<From, T, true><<<grid, kThreads, 0, stream>>>(a);
  } else {
    round_rows_kernel<From, T, false><<<grid, kThreads, 0, stream>>>(a);
  }
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

template <class T>
void launch_to(const RoundRows& a, cudaStream_t stream) {
  a.from_f32 ? launch<float, T>(a, stream) : launch<T, T>(a, stream);
}

}  // namespace

void round_rows(const RoundRows& args, cudaStream_t stream) {
  check(args);
  if (args.rows == 0 || args.columns == 0)
    return;
  args.type == LogitType::kFloat16 ? launch_to<__half>(args, stream) : launch_to<__nv_bfloat16>(args, stream);
}

}  // namespace assay::kernels::backprop
