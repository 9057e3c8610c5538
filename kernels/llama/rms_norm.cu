// SPDX-License-Identifier: Apache-2.0
// Checks, configuration, launch of the norm. Dispatch over type and shape is total.
#include "kernels/llama/check.hpp"
#include "kernels/llama/launch.cuh"
#include "kernels/llama/pointwise_config.hpp"
#include "kernels/llama/rms_norm_backward_kernel.cuh"

namespace assay::kernels::llama {
namespace {

constexpr std::size_t kSharedBytes = 2 * device::kMaxWarps * sizeof(float);
constexpr std::size_t kSumBytes = device::kSumRows * (device::kSumColumns + 1) * sizeof(float);

[[noreturn]] void refuse(const RmsNormConfig& config) {
  throw std::invalid_argument("rms_norm: no kernel for row shape " +
                              std::to_string(static_cast<int>(config.shape)) + " with " +
                              std::to_string(config.vectors) + " vectors a thread");
}

template <class T>
auto forward_kernel(const RmsNormConfig& config) {
  switch (config.shape) {
    case RowShape::kLoop:
      return device::rms_norm_loop_kernel<T>;
    case RowShape::kWarp:
      if (config.vectors == 1)
        return device::rms_norm_kernel<T, 1, true>;
      if (config.vectors == 2)
        return device::rms_norm_kernel<T, 2, true>;
      break;
    case RowShape::kBlock:
      if (config.vectors == 2)
        return device::rms_norm_kernel<T, 2, false>;
      if (config.vectors == 4)
        return device::rms_norm_kernel<T, 4, false>;
  }
  refuse(config);
}

template <class T>
auto backward_kernel(const RmsNormConfig& config, bool sums_weight) {
  switch (config.shape) {
    case RowShape::kLoop:
      return device::rms_norm_backward_loop_kernel<T>;
    case RowShape::kWarp:
      if (config.vectors == 1 && !sums_weight)
        return device::rms_norm_backward_kernel<T, 1, true, false>;
      if (config.vectors == 2 && !sums_weight)
        return device::rms_norm_backward_kernel<T, 2, true, false>;
      break;
    case RowShape::kBlock:
      if (config.vectors == 2)
        return sums_weight ? device::rms_norm_backward_kernel<T, 2, false, true>
                           : device::rms_norm_backward_kernel<T, 2, false, false>;
      if (config.vectors == 4)
        return sums_weight ? device::rms_norm_backward_kernel<T, 4, false, true>
                           : device::rms_norm_backward_kernel<T, 4, false, false>;
  }
  refuse(config);
}

template <class Args>
RmsNormShape shape_of(const Args& a) {
  return {.rows = a.rows,
          .hidden = a.hidden,
          .element_bytes = static_cast<int>(size_of(a.type)),
          .aligned = is_aligned(a)};
}

std::int64_t rows_at_once(const RmsNormConfig& config) {
  return config.shape == RowShape::kWarp ? config.blocks * (config.threads / 32) : config.blocks;
}

void sum_weight_gradient(const RmsNormBackward& a, std::int64_t blocks, cudaStream_t stream) {
  const device::WeightSum p{.partial = static_cast<const float*>(a.workspace),
                            .dw = a.dw,
                            .blocks = static_cast<int>(blocks),
                            .hidden = static_cast<int>(a.hidden)};
  const Launch shape{(a.hidden + device::kSumColumns - 1) / device::kSumColumns,
                     device::kSumColumns * device::kSumRows, kSumBytes, stream};
  dispatch(a.type, [&]<class T>() { launch(device::sum_weight_gradient_kernel<T>, shape, p); });
}

}  // namespace

void rms_norm(const RmsNormForward& args, cudaStream_t stream) {
  check(args);
  if (args.rows == 0 || args.hidden == 0)
    return;
  const RmsNormForward a = with_strides(args);
  const RmsNormConfig config = choose_rms_norm_config(shape_of(a));
  const device::RmsNorm p{.x = a.x.data,
                          .residual = a.residual.data,
                          .weight = a.weight,
                          .sum = a.sum.data,
                          .y = a.y.data,
                          .rstd = a.rstd,
                          .x_stride = a.x.stride,
                          .residual_stride = a.residual.stride,
                          .sum_stride = a.sum.stride,
                          .y_stride = a.y.stride,
                          .rows = a.rows,
                          .row_step = rows_at_once(config),
                          .hidden = static_cast<int>(a.hidden),
                          .eps = a.eps,
                          .aligned = is_aligned(a)};
  const Launch shape{config.blocks, config.threads, kSharedBytes, stream};
  dispatch(a.type, [&]<class T>() { launch(forward_kernel<T>(config), shape, p); });
}

void rms_norm_backward(const RmsNormBackward& args, cudaStream_t stream) {
  check(args);
  if (args.rows == 0 && args.hidden > 0 && args.dw != nullptr)
    ASSAY_CUDA_CHECK(
        cudaMemsetAsync(args.dw, 0, static_cast<std::size_t>(args.hidden) * size_of(args.type), stream));
  if (args.rows == 0 || args.hidden == 0)
    return;
  const RmsNormBackward a = with_strides(args);
  RmsNormShape shape = shape_of(a);
  shape.sums_weight_gradient = a.dw != nullptr;
  const RmsNormConfig config = choose_rms_norm_config(shape);
  const device::RmsNormGradient p{.h = a.h.data,
                                  .weight = a.weight,
                                  .dy = a.dy.data,
                                  .dsum = a.dsum.data,
                                  .rstd = a.rstd,
                                  .dh = a.dh.data,
                                  .partial = a.dw != nullptr ? static_cast<float*>(a.workspace) : nullptr,
                                  .h_stride = a.h.stride,
                                  .dy_stride = a.dy.stride,
                                  .dsum_stride = a.dsum.stride,
                                  .dh_stride = a.dh.stride,
                                  .rows = a.rows,
                                  .row_step = rows_at_once(config),
                                  .hidden = static_cast<int>(a.hidden),
                                  .aligned = is_aligned(a)};
  const Launch launch_shape{config.blocks, config.threads, kSharedBytes, stream};
  dispatch(a.type, [&]<class T>() { launch(backward_kernel<T>(config, a.dw != nullptr), launch_shape, p); });
  if (a.dw != nullptr)
    sum_weight_gradient(a, config.blocks, stream);
}

}  // namespace assay::kernels::llama
