// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al. 2021) in Hugging Face's convention: element i of a head turns with
// element i + d/2 by the angle position · inverse_frequency[i],
//   out[i] = x[i] · cos − x[i + d/2] · sin,   out[i + d/2] = x[i + d/2] · cos + x[i] · sin.
// The gradient is the rotation back: the same with the sign of sin flipped.
//
// Angles are reduced to a fraction of a turn from the exact product, so sines are good to about 2^−23 at any
// position below 2^24; above, a position is rounded to f32 first. transformers forms the angle in f32 (off by
// up to 2^−9 at position 10^4) and rounds cos and sin to the element type.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/llama/element_type.hpp"

namespace assay::kernels::llama {

/// [batches, length, heads, head_dim] at any strides; elements of a head are contiguous. `out` may be `in`
/// with the same strides; it may not overlap `in` otherwise.
struct RopeTensor {
  struct Strides {
    std::int64_t batch = 0, token = 0, head = 0;  ///< elements
  };
  const void* in = nullptr;
  void* out = nullptr;
  std::int64_t heads = 0;  ///< 0: no such tensor
  Strides in_strides = {}, out_strides = {};
};

enum class PositionType : std::uint8_t { kInt32, kInt64 };

struct Rope {
  ElementType type = ElementType::kBfloat16;
  std::int64_t batches = 1, length = 0;      ///< batches · length below 2^31
  std::int64_t head_dim = 0;                 ///< even, at most 1024
  RopeTensor q = {}, k = {};                 ///< numbers of heads are independent of each other
  const float* inverse_frequency = nullptr;  ///< [head_dim / 2]; scaling, as Llama 3's, is its maker's work
  const void* positions =
      nullptr;  ///< [batches, length] of position_type; null: 0 … length − 1 of each batch
  PositionType position_type = PositionType::kInt64;
  bool backward = false;  ///< in: gradients of the rotated, out: of the unrotated
};

/// Strides of [batches, length, heads, head_dim] in that order, packed, and of [batches, heads, length,
/// head_dim].
RopeTensor::Strides token_major(std::int64_t length, std::int64_t heads, std::int64_t head_dim);
RopeTensor::Strides head_major(std::int64_t length, std::int64_t heads, std::int64_t head_dim);

/// Enqueues one kernel on `stream` and returns; no allocation, no synchronisation, capturable, deterministic.
/// Without tokens or heads: nothing. Throws std::invalid_argument for bad arguments, std::runtime_error when
/// the launch fails.
void rope(const Rope& args, cudaStream_t stream);

/// The same on the CPU, on up to `num_threads` threads (0: all cores).
void rope_cpu(const Rope& args, int num_threads);

}  // namespace assay::kernels::llama
