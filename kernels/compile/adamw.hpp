// SPDX-License-Identifier: Apache-2.0
// The optimizer's two passes over one slab of adapters: the square sum of all gradients, and AdamW with
// clipping. What changes from step to step lies on the device, so a captured step never asks the host.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace assay::kernels::compile {

enum class CopyType : std::uint8_t { kFloat16, kBfloat16, kFloat32 };

/// Device pointers, aligned to 16 bytes, of `count` elements each; nothing overlaps.
struct AdamWArgs {
  std::int64_t count = 0;
  const float* gradient = nullptr;
  float* parameter = nullptr;
  float* mean = nullptr;    ///< first moment
  float* square = nullptr;  ///< second moment
  void* copy = nullptr;     ///< the new parameters rounded to `copy_type`, for the products; null: none
  CopyType copy_type = CopyType::kBfloat16;
  const float* settings =
      nullptr;  ///< [4]: learning rate, number of the step from 1 on, weight decay, largest norm (0: any)
  const float* square_sum = nullptr;  ///< [1] of all gradients; read where the largest norm is not 0
};

/// One step of AdamW as torch has it (Loshchilov and Hutter 2019; β 0.9 and 0.999, ε 1e-8): with
/// c = min(1, largest / (√square_sum + 1e-6)), as clip_grad_norm_ has it, and g = c · gradient,
///   p −= rate · decay · p;  m = β₁m + (1−β₁)g;  v = β₂v + (1−β₂)g²;  p −= rate · (m / (1−β₁ᵗ)) / (√(v /
///   (1−β₂ᵗ)) + ε)
/// in f32. A square sum that is infinite or NaN leaves everything as it is: the step is skipped, as a loss
/// scaler does. Enqueues one kernel on `stream`, allocates nothing, may be captured. count = 0: nothing.
/// Throws std::invalid_argument for bad arguments, std::runtime_error when the launch fails.
void adamw(const AdamWArgs& args, cudaStream_t stream);

/// out[0] = Σ values², summed in an order that depends on `count` alone: equal inputs give equal bits.
/// `workspace`: square_sum_workspace_bytes(), device, aligned to 16. Two kernels; as adamw() otherwise.
std::size_t square_sum_workspace_bytes();
void square_sum(const float* values, std::int64_t count, void* workspace, float* out, cudaStream_t stream);

}  // namespace assay::kernels::compile
