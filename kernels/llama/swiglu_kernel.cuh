// SPDX-License-Identifier: Apache-2.0
// Device code of SwiGLU. A block is a tile of one row; a thread holds vectors of its tile threads apart.
#pragma once

#include "kernels/llama/elements.cuh"

namespace assay::kernels::llama::device {

struct SwigluIn {
  const void* data;
  std::int64_t stride;
};
struct SwigluOut {
  void* data;  // null: not wanted
  std::int64_t stride;
};
struct SwigluTiles {
  std::int64_t columns;
  unsigned tiles_per_row;
  bool aligned;
};

struct Swiglu {
  SwigluTiles tiles;
  SwigluIn gate, up;
  SwigluOut y;
};
struct SwigluGradient {
  SwigluTiles tiles;
  SwigluIn gate, up, dy;
  SwigluOut dgate, dup, y;
};

/// σ(g) and 1 − σ(g), each to a few units in the last place: e = exp(−|g|) lies in 0 … 1, and one Newton step
/// makes the reciprocal of 1 + e good to half a unit and a bit.
struct Sigmoid {
  float value, complement;
};
__device__ __forceinline__ Sigmoid sigmoid(float g) {
  const float e = expf(-fabsf(g));
  const float d = 1.0f + e, guess = reciprocal_approx(d);
  const float near_one = fmaf(guess, fmaf(-d, guess, 1.0f), guess), far = e * near_one;
  return g < 0.0f ? Sigmoid{far, near_one} : Sigmoid{near_one, far};
}

/// Column of the thread's v-th vector and row of its block.
template <int kVectors, int kPer>
struct Place {
  std::int64_t row, column[kVectors];

  __device__ __forceinline__ explicit Place(const SwigluTiles& tiles) {
    const unsigned row_of_block = blockIdx.x / tiles.tiles_per_row, tile = blockIdx.x % tiles.tiles_per_row;
    row = row_of_block;
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      column[v] = ((std::int64_t{tile} * kVectors + v) * blockDim.x + threadIdx.x) * kPer;
  }
};

template <class T, bool kWhole, int kVectors>
struct Loaded {
  static constexpr int kPer = kPerVector<T>;
  uint4 raw[kVectors];
  float wide[kVectors][kPer];

  __device__ __forceinline__ Loaded(const SwigluIn& in, const Place<kVectors, kPer>& at,
                                    const SwigluTiles& tiles, std::uint64_t policy) {
    const T* const row = static_cast<const T*>(in.data) + at.row * in.stride;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t left = tiles.columns - at.column[v];
      if constexpr (kWhole) {
        raw[v] = left > 0 ? load_once(row + at.column[v], policy) : make_uint4(0, 0, 0, 0);
      } else {
        load_some(row + at.column[v], left, tiles.aligned, policy, wide[v]);
      }
    }
  }
  __device__ __forceinline__ void get(int v, float (&x)[kPer]) const {
    if constexpr (kWhole) {
      unpack<T>(raw[v], x);
    } else {
#pragma unroll
      for (int i = 0; i < kPer; ++i) x[i] = wide[v][i];
    }
  }
};

template <class T, bool kWhole, int kVectors>
__device__ __forceinline__ void store_result(const SwigluOut& out, const Place<kVectors, kPerVector<T>>& at,
                                             int v, const SwigluTiles& tiles,
                                             const float (&x)[kPerVector<T>]) {
  T* const to = static_cast<T*>(out.data) + at.row * out.stride + at.column[v];
  const std::int64_t left = tiles.columns - at.column[v];
  if constexpr (kWhole) {
    if (left > 0)
      store_vector(to, pack<T>(x));
  } else {
    store_some(to, left, tiles.aligned, x);
  }
}

template <class T, bool kWhole, int kVectors>
__global__ void __launch_bounds__(256) swiglu_kernel(const __grid_constant__ Swiglu p) {
  constexpr int kPer = kPerVector<T>;
  const std::uint64_t policy = once_policy();
  const Place<kVectors, kPer> at(p.tiles);
  const Loaded<T, kWhole, kVectors> gates(p.gate, at, p.tiles, policy), ups(p.up, at, p.tiles, policy);
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    float gate[kPer], up[kPer];
    gates.get(v, gate);
    ups.get(v, up);
#pragma unroll
    for (int i = 0; i < kPer; ++i) up[i] *= gate[i] * sigmoid(gate[i]).value;
    store_result<T, kWhole, kVectors>(p.y, at, v, p.tiles, up);
  }
}

template <class T, bool kWhole, int kVectors>
__global__ void __launch_bounds__(256) swiglu_backward_kernel(const __grid_constant__ SwigluGradient p) {
  constexpr int kPer = kPerVector<T>;
  const std::uint64_t policy = once_policy();
  const Place<kVectors, kPer> at(p.tiles);
  const Loaded<T, kWhole, kVectors> gates(p.gate, at, p.tiles, policy), ups(p.up, at, p.tiles, policy),
      dys(p.dy, at, p.tiles, policy);
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    float gate[kPer], up[kPer], dy[kPer], y[kPer];
    gates.get(v, gate);
    ups.get(v, up);
    dys.get(v, dy);
#pragma unroll
    for (int i = 0; i < kPer; ++i) {
      const Sigmoid s = sigmoid(gate[i]);
      const float silu = gate[i] * s.value, slope = s.value * (1.0f + gate[i] * s.complement);
      y[i] = silu * up[i];
      gate[i] = dy[i] * up[i] * slope;
      up[i] = dy[i] * silu;
    }
    store_result<T, kWhole, kVectors>(p.dgate, at, v, p.tiles, gate);
    store_result<T, kWhole, kVectors>(p.dup, at, v, p.tiles, up);
    if (p.y.data != nullptr)
      store_result<T, kWhole, kVectors>(p.y, at, v, p.tiles, y);
  }
}

}  // namespace assay::kernels::llama::device
