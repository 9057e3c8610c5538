// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/device/loss_scaling.hpp"

namespace assay::kernels::compile {
namespace {

__global__ void begin_loss_scaling_kernel(const BeginLossScaling a) {
  const float scale = loss_scale_of(*a.scaler, a.initial);
  a.scaler->scale = scale;
  *a.gradient_factor = *a.mean_scale / scale;
}

__global__ void end_loss_scaling_kernel(const EndLossScaling a) {
  const LossScaler before = *a.scaler;
  a.settings_of_step[0] = a.settings[0];
  a.settings_of_step[1] = fmaxf(a.settings[1] - before.skipped, 1.0f);
  a.settings_of_step[2] = a.settings[2];
  a.settings_of_step[3] = a.settings[3] > 0.0f ? a.settings[3] : kAnyNorm;
  *a.scaler = after_step(before, isfinite(*a.square_sum), a.growth_interval);
}

void require(bool holds, const char* expected) {
  if (!holds)
    throw std::invalid_argument(std::string("loss scaling: expected ") + expected + ", found null");
}

}  // namespace

void check(const LossScaling& scaling) {
  int exponent = 0;
  const bool is_power = scaling.initial == 0.0f || std::frexp(scaling.initial, &exponent) == 0.5f;
  const bool fits = scaling.initial == 0.0f ||
                    (scaling.initial >= kLowestLossScale && scaling.initial <= kHighestLossScale);
  if (!is_power || !fits)
    throw std::invalid_argument(
        "loss scaling: expected an initial scale of 0 or a power of two from 2^-14 to 2^14, found " +
        std::to_string(scaling.initial));
  if (scaling.growth_interval < 1)
    throw std::invalid_argument("loss scaling: expected a growth interval of at least 1, found " +
                                std::to_string(scaling.growth_interval));
}

void begin_loss_scaling(const BeginLossScaling& args, cudaStream_t stream) {
  require(args.scaler != nullptr && args.mean_scale != nullptr && args.gradient_factor != nullptr,
          "a scaler, the mean's scale and a place for the gradients' factor");
  begin_loss_scaling_kernel<<<1, 1, 0, stream>>>(args);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

void end_loss_scaling(const EndLossScaling& args, cudaStream_t stream) {
  require(args.scaler != nullptr && args.square_sum != nullptr && args.settings != nullptr &&
              args.settings_of_step != nullptr,
          "a scaler, a square sum, settings and a place for those of the step");
  end_loss_scaling_kernel<<<1, 1, 0, stream>>>(args);
  ASSAY_CUDA_CHECK(cudaGetLastError());
}

}  // namespace assay::kernels::compile
