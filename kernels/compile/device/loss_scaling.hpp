// SPDX-License-Identifier: Apache-2.0
// A loss scale that finds itself, all on the device: backward is of scale · Σ losses, the adapters' f32
// gradients are divided by it, a step whose gradients are not finite moves nothing and halves the scale, and
// many finite ones in a row double it. For f16, whose range one token's gradient may leave at either end;
// bf16 has the range of f32 and needs none.
#pragma once

#include <cuda_runtime_api.h>

namespace assay::kernels::compile {

struct LossScaling {
  float initial = 0.0f;  ///< a power of two from 2^−14 to 2^14; 0: no scaling, and nothing of it in the graph
  int growth_interval = 2000;  ///< finite steps in a row after which the scale doubles
};
/// Throws std::invalid_argument for values out of range.
void check(const LossScaling& scaling);

/// Lives on the device between steps as four floats; begins as zeros.
struct LossScaler {
  float exponent = 0.0f;      ///< log2(scale / initial)
  float scale = 0.0f;         ///< of the step that runs
  float finite_steps = 0.0f;  ///< in a row, since the scale last changed
  float skipped = 0.0f;       ///< steps that moved nothing, so far
};

inline constexpr float kLowestLossScale = 0x1p-14f, kHighestLossScale = 0x1p14f;
/// Stands for "any norm" in settings that AdamW reads: it looks at the square sum then, and does not clip.
inline constexpr float kAnyNorm = 3.402823466e38f;

/// The scale that the next step takes.
constexpr float loss_scale_of(const LossScaler& scaler, float initial) {
  float scale = initial;
  for (float e = scaler.exponent; e > 0.0f; e -= 1.0f) scale *= 2.0f;
  for (float e = scaler.exponent; e < 0.0f; e += 1.0f) scale *= 0.5f;
  return scale;
}

/// After a step with gradients that are finite or not.
constexpr LossScaler after_step(LossScaler scaler, bool is_finite, int growth_interval) {
  if (!is_finite) {
    scaler.skipped += 1.0f, scaler.finite_steps = 0.0f;
    if (scaler.scale > kLowestLossScale)
      scaler.exponent -= 1.0f;
    return scaler;
  }
  scaler.finite_steps += 1.0f;
  if (scaler.finite_steps < static_cast<float>(growth_interval))
    return scaler;
  scaler.finite_steps = 0.0f;
  if (scaler.scale < kHighestLossScale)
    scaler.exponent += 1.0f;
  return scaler;
}

/// Before backward: scaler->scale of this step, and what turns its gradients into those of the mean loss,
/// *gradient_factor = *mean_scale / scale.
struct BeginLossScaling {
  LossScaler* scaler = nullptr;
  float initial = 1.0f;
  const float* mean_scale = nullptr;
  float* gradient_factor = nullptr;
};
/// Behind the square sum of all gradients, before AdamW: the scaler of the next step, and the settings that
/// this one's AdamW reads: [4] as `settings`, the number of the step less those skipped before it (so that
/// moments are corrected by the steps that moved them), a largest norm of 0 as kAnyNorm (so that it skips
/// what is not finite).
struct EndLossScaling {
  LossScaler* scaler = nullptr;
  int growth_interval = 2000;
  const float* square_sum = nullptr;
  const float* settings = nullptr;
  float* settings_of_step = nullptr;
};

/// Enqueue one small kernel on `stream`: no allocation, no synchronisation, capturable. Device pointers.
/// Throw std::invalid_argument for null, std::runtime_error when the launch fails.
void begin_loss_scaling(const BeginLossScaling& args, cudaStream_t stream);
void end_loss_scaling(const EndLossScaling& args, cudaStream_t stream);

}  // namespace assay::kernels::compile
