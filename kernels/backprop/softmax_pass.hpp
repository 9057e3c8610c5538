// SPDX-License-Identifier: Apache-2.0
// One pass over a chunk of logits: softmax statistics, loss, and the gradient written over the logits. Rows are read in
// f16, bf16 or f32, all arithmetic is f32. The hand-written derivative behind the fast paths; the general path
// (autograd/memory_efficient_linear.hpp) does not use it.
//
// Per row, with x the logits plus bias, z = softcap·tanh(x / softcap) (softcap 0: z = x) divided by temperature,
//   lse = log Σ_v exp z_v,   p_v = exp(z_v − lse),   dz/dx = (1 − tanh²(x / softcap)) / temperature.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace assay::kernels::backprop {

enum class LogitType : std::uint8_t { kFloat16, kBfloat16, kFloat32 };

/// What happens to raw logits before the softmax: z = softcap · tanh(x / softcap) (0: none), then z / temperature.
struct LogitTransform {
  double softcap = 0.0;
  double temperature = 1.0;
};

/// A chunk of logits, row-major. `stride` in elements, at least `vocab`; rows of any alignment are handled, those that
/// start at multiples of 16 bytes at full speed.
struct LogitRows {
  void* data = nullptr;
  LogitType type = LogitType::kBfloat16;
  std::int64_t rows = 0, vocab = 0, stride = 0;
  const void* bias = nullptr;  ///< [vocab] of `type`, added before the transform; null: none
  LogitTransform transform;
};

/// Cross entropy of torch.nn.functional.cross_entropy plus z_loss·lse². With w the class weights (1 when null), S their
/// sum, t the label, ε the smoothing:
///   loss = (1−ε)·w_t·(lse − z_t) + ε/V·Σ_v w_v·(lse − z_v) + z_loss·lse²   (z_loss not weighted)
///   ∂loss/∂z_v = p_v·((1−ε)·w_t + ε·S/V + 2·z_loss·lse) − (1−ε)·w_t·[v = t] − ε/V·w_v
/// Rows whose label is ignore_index: loss 0, lse 0, gradient 0. Any other label outside [0, vocab): loss, lse and
/// gradient NaN on the GPU (nothing is read out of bounds), std::invalid_argument on the CPU.
struct CrossEntropyPass {
  LogitRows logits;                       ///< overwritten with gradient_scale · ∂loss/∂x where write_gradient
  const std::int64_t* labels = nullptr;   ///< [rows]
  std::int64_t ignore_index = -100;
  float label_smoothing = 0.0f, z_loss = 0.0f;
  const float* class_weight = nullptr;    ///< [vocab] or null
  const float* gradient_scale = nullptr;  ///< one f32 where the logits lie (so no host copy is needed), null: 1
  bool write_gradient = true;
  float* loss = nullptr;                  ///< [rows], not scaled
  float* lse = nullptr;                   ///< [rows] or null
};

/// Log-probability of a token, entropy H = −Σ_v p_v·log p_v, and lse, of each row.
/// Gradient for upstream (g0, g1, g2) of the three:
///   ∂/∂z_v = g0·([v = t] − p_v) − g1·p_v·(z_v − lse + H) + g2·p_v
struct TokenStatisticsPass {
  LogitRows logits;                      ///< read only
  const std::int64_t* tokens = nullptr;  ///< [rows]; negative: the row is skipped, its statistics
                                         ///< are 0; from vocab up: as labels of CrossEntropyPass
  float* statistics = nullptr;           ///< [rows, 3]: logp, entropy, lse
};
struct TokenStatisticsGradientPass {
  LogitRows logits;                       ///< overwritten with gradient_scale · upstream · ∂statistics/∂x
  const std::int64_t* tokens = nullptr;   ///< as above; skipped rows get gradient 0
  const float* statistics = nullptr;      ///< [rows, 3] of the forward pass
  const float* upstream = nullptr;        ///< [rows, 3]
  const float* gradient_scale = nullptr;  ///< one f32 where the logits lie, null: 1
};

/// Enqueue on `stream` and return; no allocation, no synchronisation, capturable, deterministic. rows = 0 does nothing.
/// Throw std::invalid_argument for bad arguments, std::runtime_error when a launch fails.
void cross_entropy_pass(const CrossEntropyPass& pass, cudaStream_t stream);
void token_statistics_pass(const TokenStatisticsPass& pass, cudaStream_t stream);
void token_statistics_gradient_pass(const TokenStatisticsGradientPass& pass, cudaStream_t stream);

/// The same on the CPU, on up to `num_threads` threads (0: all cores).
void cross_entropy_pass_cpu(const CrossEntropyPass& pass, int num_threads);
void token_statistics_pass_cpu(const TokenStatisticsPass& pass, int num_threads);
void token_statistics_gradient_pass_cpu(const TokenStatisticsGradientPass& pass, int num_threads);

}  // namespace assay::kernels::backprop
