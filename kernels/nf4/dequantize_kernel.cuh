// SPDX-License-Identifier: Apache-2.0
// Device code: packed 4-bit weights and their (nested) absmax in, 16-byte vectors of f16, bf16 or f32 out.
//
// A thread owns vectors of 16 output bytes, neighbouring threads neighbouring vectors, so that both the
// packed loads and the stores of a warp are whole lines. A vector never spans two absmax blocks (block_size
// >= 32 weights >= a vector). Bytes per weight: 0.5 packed + 1/64 absmax code + 2 out; everything else stays
// in L1. Arithmetic is a quarter of that time.
#pragma once

#include <cstdint>

#include "kernels/common/ptx.cuh"
#include "kernels/nf4/dequantize_decode.cuh"

namespace assay::kernels::nf4 {

template <DequantizeVariant kVariant, class T>
__device__ __forceinline__ auto load_statistic(const T* at) {
  if constexpr (kVariant == DequantizeVariant::kPlain) {
    return *at;
  } else {
    return ptx::load_cached(at);
  }
}

/// What the absmax of one block is made of, loaded without waiting for any of it.
struct RawAbsmax {
  std::uint32_t code = 0;  // nested
  float value = 0.0f;      // nested: absmax of the absmax; else the absmax itself
};

template <bool kNested, DequantizeVariant kVariant>
__device__ __forceinline__ RawAbsmax load_absmax(const DeviceDequantize& p, std::uint32_t block) {
  if constexpr (!kNested)
    return {0, load_statistic<kVariant>(p.absmax + block)};
  return {load_statistic<kVariant>(p.absmax_codes + block),
          load_statistic<kVariant>(p.nested_absmax + (block >> p.nested_block_shift))};
}

/// Two separately rounded steps when nested. `nested_code`: the map, in shared or global memory.
template <bool kNested>
__device__ __forceinline__ float absmax_of(const RawAbsmax& raw, const float* nested_code, float offset) {
  if constexpr (!kNested)
    return raw.value;
  return __fadd_rn(__fmul_rn(nested_code[raw.code], raw.value), offset);
}

/// Last, incomplete vector and unaligned pointers: one weight at a time.
template <class Out>
__device__ __forceinline__ void decode_one(const DeviceDequantize& p, const float* table, std::int64_t i,
                                           float scale) {
  const std::uint32_t byte = p.packed[i / 2];
  const std::uint32_t nibble = i % 2 == 0 ? byte >> 4 : byte & 15u;
  static_cast<Out*>(p.out)[i] = Output<Out>::round(__fmul_rn(table[nibble], scale));
}

/// Two waves of blocks: what a block reads is then in L2 when it starts, and its loads end before its stores
/// crowd them out. 1 to 3 % from 16 M weights up; 1 MiB and 8 MiB gain less (H100, 2026-11).
inline constexpr std::int64_t kPrefetchAhead = std::int64_t{4} << 20;

/// Fetches `bytes` of packed weights from byte `begin` on, a multiple of 16 that is not 0, as far as there
/// are any. By one thread.
__device__ __forceinline__ void prefetch_packed(const DeviceDequantize& p, std::int64_t begin, int bytes) {
  const auto* end = p.packed + p.num_weights / 2;
  const auto* from = p.packed + begin;
  from -= reinterpret_cast<std::uintptr_t>(from) % 16;
  const std::int64_t left = end - from;
  if (left >= 16)
    ptx::bulk_prefetch_to_l2(from, static_cast<std::uint32_t>(left < bytes ? left / 16 * 16 : bytes));
}

/// Below so many weights every block fetches its own lines: 2 % at 16 M, nothing lost or won at 59 M and 235
/// M (H100, 2026-11).
inline constexpr std::int64_t kOwnLinesBelow = std::int64_t{32} << 20;

/// Brings into L2 what a block two waves later reads. The first two waves (all blocks of small weights) fetch
/// for themselves, one lane a 128-byte line, and the first blocks, which start while the previous grid ends,
/// also fetch the map that every block reads. Each kind of line has a warp of its own, so that none waits for
/// another's branch.
template <class Out, bool kNested, int kVectors, int kThreads>
__device__ __forceinline__ void prefetch_inputs(const DeviceDequantize& p) {
  constexpr int kBytes = kThreads * kVectors * static_cast<int>(sizeof(typename Output<Out>::Word));
  constexpr int kLines = kBytes / 128, kMapLines = 8;
  static_assert(kLines <= 32 && kThreads >= 224, "a warp for each kind of line");
  const std::int64_t begin = std::int64_t{blockIdx.x} * kBytes;
  const auto fetch_absmax = [&](std::int64_t of) {
    const std::int64_t block = (of * 2) >> p.block_shift;
    ptx::prefetch_to_l2(kNested ? static_cast<const void*>(p.absmax_codes + block) : p.absmax + block);
  };
  const auto fetch_nested_absmax = [&](std::int64_t of) {
    ptx::prefetch_to_l2(p.nested_absmax + ((of * 2) >> p.block_shift >> p.nested_block_shift));
  };
  const int lane = static_cast<int>(threadIdx.x);
  if (begin < kPrefetchAhead || p.num_weights < kOwnLinesBelow) {
    if (lane < kLines) {
      if ((begin + lane * 128) * 2 < p.num_weights)
        ptx::prefetch_to_l2(p.packed + begin + lane * 128);
    } else if (lane == 32) {
      fetch_absmax(begin);
    } else if (kNested && lane == 64) {
      fetch_nested_absmax(begin);
    } else if (kNested && blockIdx.x < 8 && lane == 96) {
      ptx::prefetch_to_l2(p.nested_offset);
    } else if (kNested && blockIdx.x < 8 && lane >= 128 && lane < 128 + kMapLines) {
      ptx::prefetch_to_l2(p.nested_code + (lane - 128) * 32);
    }
  }
  if (const std::int64_t later = begin + kPrefetchAhead; later * 2 < p.num_weights) {
    if (lane == 160) {
      prefetch_packed(p, later, kBytes);
    } else if (lane == 192) {
      fetch_absmax(later);
    }
  }
}

/// Threads a multiprocessor holds: registers are kept to what lets it be full, since bytes in flight are the
/// speed.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
inline constexpr int kResidentThreads = 1024;
#elif defined(__CUDA_ARCH__) && (__CUDA_ARCH__ == 860 || __CUDA_ARCH__ == 890 || __CUDA_ARCH__ >= 1200)
inline constexpr int kResidentThreads = 1536;
#else
inline constexpr int kResidentThreads = 2048;
#endif

template <class Out, bool kNested, DequantizeVariant kVariant, bool kConstant, int kVectors, int kThreads>
__global__ void __launch_bounds__(kThreads, kResidentThreads / kThreads)
    dequantize_kernel(const __grid_constant__ DeviceDequantize p) {
  constexpr bool kPlain = kVariant == DequantizeVariant::kPlain;
  constexpr auto kCaching =
      kVariant == DequantizeVariant::kFused ? ptx::Caching::kStream : ptx::Caching::kDefault;
  constexpr int kWeights = Output<Out>::kWeights;
  using Word = typename Output<Out>::Word;

  // Prologue, overlapped with the end of the previous grid: touches nothing that another grid may write.
  __shared__ float table[16];
  __shared__ float nested_code[kNested ? 256 : 1];
  if (threadIdx.x < 16)
    table[threadIdx.x] = p.code[threadIdx.x];
  const std::uint64_t policy = kCaching == ptx::Caching::kStream ? ptx::evict_first_policy() : 0;
  if constexpr (!kPlain && !kConstant) {
    if constexpr (ptx::kDependentLaunch)
      prefetch_inputs<Out, kNested, kVectors, kThreads>(p);
    ptx::wait_for_previous_grid();
  } else if constexpr (kConstant && ptx::kDependentLaunch) {
    constexpr int kBytes = kThreads * kVectors * static_cast<int>(sizeof(Word));
    if (const std::int64_t later = std::int64_t{blockIdx.x} * kBytes + kPrefetchAhead;
        threadIdx.x == kThreads - 1 && later * 2 < p.num_weights)
      prefetch_packed(p, later, kBytes);
  }

  // All loads of the thread before the first use. Vector indices fit 32 bits: the launcher refuses longer
  // inputs.
  const std::uint32_t first = blockIdx.x * (kThreads * kVectors) + threadIdx.x;
  const auto whole = static_cast<std::uint32_t>(p.num_weights / kWeights);
  const Word* packed = reinterpret_cast<const Word*>(p.packed) + first;
  const int vector_shift = p.block_shift - kVectorShift<Out>;
  std::uint32_t words[kVectors] = {};
  RawAbsmax absmax[kVectors];
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    const std::uint32_t vector = first + v * kThreads;
    if (vector < whole) {
      if constexpr (kPlain) {
        words[v] = packed[v * kThreads];
      } else {
        words[v] = ptx::load<kCaching>(packed + v * kThreads, policy);
      }
      absmax[v] = load_absmax<kNested, kVariant>(p, vector >> vector_shift);
    }
  }
  const float offset = kNested ? load_statistic<kVariant>(p.nested_offset) : 0.0f;
  if constexpr (kNested) {
    static_assert(kThreads >= 256, "one thread loads one entry of the map");
    if (threadIdx.x < 256)
      nested_code[threadIdx.x] = load_statistic<kVariant>(p.nested_code + threadIdx.x);
  }
  __syncthreads();
  if constexpr (!kPlain)
    ptx::allow_next_grid();  // after the loads: 2 % better than at the start (H100, 2026-11)

  // Decode and store.
  uint4* out = static_cast<uint4*>(p.out) + first;
  uint4 bits[kVectors];
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    bits[v] = decode<kVariant, Out>(table, words[v], absmax_of<kNested>(absmax[v], nested_code, offset));
  }
  if constexpr (!kPlain && kConstant)
    ptx::wait_for_previous_grid();
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    if (first + v * kThreads < whole) {
      if constexpr (kPlain) {
        out[v * kThreads] = bits[v];
      } else {
        ptx::store<kCaching>(out + v * kThreads, bits[v], policy);
      }
    }
  }

  // Fewer than kWeights weights behind the last whole vector: one thread each in the last block.
  if (blockIdx.x == gridDim.x - 1 && threadIdx.x < p.num_weights % kWeights) {
    const std::int64_t i = std::int64_t{whole} * kWeights + threadIdx.x;
    const RawAbsmax raw = load_absmax<kNested, kVariant>(p, static_cast<std::uint32_t>(i >> p.block_shift));
    decode_one<Out>(p, table, i, absmax_of<kNested>(raw, nested_code, offset));
  }
}

template <class Out, bool kNested, int kThreads>
__global__ void __launch_bounds__(kThreads)
    dequantize_unaligned_kernel(const __grid_constant__ DeviceDequantize p) {
  __shared__ float table[16];
  if (threadIdx.x < 16)
    table[threadIdx.x] = p.code[threadIdx.x];
  __syncthreads();
  const std::int64_t i = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * 2;
  if (i >= p.num_weights)
    return;
  const float offset = kNested ? *p.nested_offset : 0.0f;
  const auto block = static_cast<std::uint32_t>(i >> p.block_shift);
  const RawAbsmax raw = load_absmax<kNested, DequantizeVariant::kPlain>(p, block);
  const float scale = absmax_of<kNested>(raw, p.nested_code, offset);
  decode_one<Out>(p, table, i, scale);
  if (i + 1 < p.num_weights)
    decode_one<Out>(p, table, i + 1, scale);
}

}  // namespace assay::kernels::nf4
