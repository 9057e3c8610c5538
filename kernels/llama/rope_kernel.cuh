// SPDX-License-Identifier: Apache-2.0
// Device code of rope: a block is a token, its angles are made once in shared memory while the first heads
// are loaded.
#pragma once

#include "kernels/llama/elements.cuh"

namespace assay::kernels::llama::device {

struct RopeHeads {
  const void* in;
  void* out;
  std::int64_t in_batch, in_token, in_head, out_batch, out_token, out_head;
};

struct RopeParameters {
  RopeHeads q, k;
  const float* inverse_frequency;
  const void* positions;  // null: the number of the token in its batch
  int q_heads, heads;     // of q, of both
  unsigned length;
  int half;  // head_dim / 2
  int vectors_per_half, heads_per_pass;
  bool positions_are_64_bits, backward, aligned;
};

/// cos and sin of position · frequency. The product is taken in turns (1 / 2π in two parts, the product's
/// rounding kept by an fma), so that whole turns leave without a trace.
__device__ __forceinline__ void rotation_of(float position, float frequency, float& cosine, float& sine) {
  constexpr float kInverseTurn = 0.15915493667125702f, kInverseTurnRest = 6.420638e-9f;  // their sum: 1 / 2π
  const float per_token = frequency * kInverseTurn;
  const float rest = fmaf(frequency, kInverseTurn, -per_token) + frequency * kInverseTurnRest;
  const float turns = position * per_token;
  const float below = fmaf(position, per_token, -turns) + position * rest;
  const float part = (turns - rintf(turns)) + below;  // −1/2 … 1/2
  sine_and_cosine(2.0f * part, sine, cosine);
}

__device__ __forceinline__ float position_of(const RopeParameters& p, unsigned token) {
  if (p.positions == nullptr)
    return static_cast<float>(token % p.length);
  return p.positions_are_64_bits ? static_cast<float>(static_cast<const std::int64_t*>(p.positions)[token])
                                 : static_cast<float>(static_cast<const std::int32_t*>(p.positions)[token]);
}

/// Where a head of the token lies, with q's heads first.
struct HeadAt {
  std::int64_t in, out;  // elements
  bool is_q;
};
__device__ __forceinline__ HeadAt head_at(const RopeParameters& p, int head, unsigned batch, unsigned token) {
  const bool is_q = head < p.q_heads;
  const RopeHeads& t = is_q ? p.q : p.k;
  const int own = is_q ? head : head - p.q_heads;
  return {batch * t.in_batch + token * t.in_token + own * t.in_head,
          batch * t.out_batch + token * t.out_token + own * t.out_head, is_q};
}

/// Vectors of both halves that turn together.
template <class T, bool kWhole>
struct Turning {
  static constexpr int kPer = kPerVector<T>;
  uint4 raw[2];
  float first[kPer], second[kPer];

  __device__ __forceinline__ void load(const T* head, const RopeParameters& p, int column,
                                       std::uint64_t policy) {
    if constexpr (kWhole) {
      raw[0] = load_once(head + column, policy);
      raw[1] = load_once(head + column + p.half, policy);
    } else {
      load_some(head + column, p.half - column, false, policy, first);
      load_some(head + column + p.half, p.half - column, false, policy, second);
    }
  }
  __device__ __forceinline__ void turn_and_store(T* head, const RopeParameters& p, int column,
                                                 const float* cosines, const float* sines) {
    if constexpr (kWhole) {
      unpack<T>(raw[0], first);
      unpack<T>(raw[1], second);
    }
#pragma unroll
    for (int i = 0; i < kPer; ++i) {
      const float a = first[i], b = second[i], c = cosines[column + i], s = sines[column + i];
      first[i] = a * c - b * s;
      second[i] = b * c + a * s;
    }
    if constexpr (kWhole) {
      store_vector(head + column, pack<T>(first));
      store_vector(head + column + p.half, pack<T>(second));
    } else {
      store_some(head + column, p.half - column, false, first);
      store_some(head + column + p.half, p.half - column, false, second);
    }
  }
};

template <class T, bool kWhole>
__global__ void __launch_bounds__(384) rope_kernel(const __grid_constant__ RopeParameters p) {
  constexpr int kPer = kPerVector<T>;
  const unsigned batch = blockIdx.x / p.length, token = blockIdx.x % p.length;
  const int first_head = static_cast<int>(threadIdx.x) / p.vectors_per_half;
  const int column = static_cast<int>(threadIdx.x) % p.vectors_per_half * kPer;
  const std::uint64_t policy = once_policy();
  // Threads behind the last whole head of a pass make angles only.
  const bool turns = first_head < p.heads_per_pass;
  const auto load = [&](int head) {
    Turning<T, kWhole> loaded;
    const HeadAt at = head_at(p, head, batch, token);
    loaded.load(static_cast<const T*>(at.is_q ? p.q.in : p.k.in) + at.in, p, column, policy);
    return loaded;
  };
  Turning<T, kWhole> now;
  if (turns && first_head < p.heads)
    now = load(first_head);

  float* const cosines = shared_floats();  // [vectors_per_half · kPer], sines behind them
  float* const sines = cosines + p.vectors_per_half * kPer;
  const float position = position_of(p, blockIdx.x);
  for (int i = static_cast<int>(threadIdx.x); i < p.half; i += static_cast<int>(blockDim.x)) {
    float sine;
    rotation_of(position, p.inverse_frequency[i], cosines[i], sine);
    sines[i] = p.backward ? -sine : sine;
  }
  __syncthreads();

  if (!turns)
    return;
  for (int head = first_head; head < p.heads; head += p.heads_per_pass) {
    if (head != first_head)
      now = load(head);
    const HeadAt at = head_at(p, head, batch, token);
    now.turn_and_store(static_cast<T*>(at.is_q ? p.q.out : p.k.out) + at.out, p, column, cosines, sines);
  }
}

}  // namespace assay::kernels::llama::device
