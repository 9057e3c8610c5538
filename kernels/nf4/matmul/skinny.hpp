// SPDX-License-Identifier: Apache-2.0
// y = x · Wᵀ (+ bias) for 1 to 16 rows of x, W read as bitsandbytes keeps it: 4-bit codes, (nested) absmax,
// no 16-bit weights anywhere. Shapes: x [M, K], W [N, K], y [M, N], bias [N].
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/nf4/format.hpp"
#include "kernels/nf4/matmul/skinny_config.hpp"

namespace assay::kernels::nf4 {

struct SkinnyArgs {
  PackedWeights weights;  ///< device pointers; num_weights = n · k, row-major [n, k]
  std::int64_t n = 0, k = 0;
  int m = 0;                      ///< 0 to 16
  const void* x = nullptr;        ///< device, rows of k elements of `type`
  void* y = nullptr;              ///< device, rows of n elements of `type`
  const void* bias = nullptr;     ///< device, [n] of `type`, or null
  std::int64_t ldx = 0, ldy = 0;  ///< elements from row to row; 0: packed
  ScalarType type = ScalarType::kBfloat16;
  /// Promise that nothing still running on the stream writes the weights or their statistics: the kernel then
  /// starts to read them while the previous kernel ends (sm_90+); x and bias are read, y written, after it.
  bool weights_are_constant = false;
};

/// Enqueues one kernel on `stream` and returns; allocates nothing, needs no workspace, synchronises nothing,
/// may be captured. Sums are f32 in an order that depends on shapes and the GPU alone, so equal calls give
/// equal bits. m or n of 0 launches nothing; k = 0 gives bias, or 0. Throws std::invalid_argument for bad
/// arguments, std::runtime_error when the launch fails.
void skinny_linear(const SkinnyArgs& args, cudaStream_t stream);

/// The same with a chosen configuration. Throws std::invalid_argument where it cannot run these arguments.
void skinny_linear(const SkinnyArgs& args, const SkinnyConfig& config, cudaStream_t stream);

/// What skinny_linear would run on the current device.
SkinnyConfig skinny_config_for(const SkinnyArgs& args);

}  // namespace assay::kernels::nf4
