// SPDX-License-Identifier: Apache-2.0
// One call of torch.ops.assay.linear_cross_entropy or linear_logprob: its arguments in one piece, and the two
// inner operators that do the work. The inner ones exist because torch.compile must see operators, not C++
// functions: autograd's part around them is traced, they are not.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <optional>
#include <vector>

#include "kernels/backprop/autograd/losses.hpp"

namespace assay::kernels::torch {

using MaybeTensor = std::optional<at::Tensor>;

enum class LinearLoss : std::int64_t { kCrossEntropy, kTokenStatistics };

struct LinearLossCall {
  LinearLoss loss = LinearLoss::kCrossEntropy;
  at::Tensor hidden, weight, indices;  ///< indices: labels or tokens
  MaybeTensor bias = {}, lora_a = {}, lora_b = {}, class_weight = {}, divisor = {};
  double lora_scale = 1.0, label_smoothing = 0.0, z_loss = 0.0;
  backprop::LogitTransform transform = {};
  backprop::Reduction reduction = backprop::Reduction::kMean;
  std::int64_t ignore_index = -100;
  std::int64_t chunk_rows = 0;  ///< 0: automatic
  std::array<bool, 5> wanted = {};

  /// hidden, weight, bias, lora_a, lora_b.
  std::array<at::Tensor, 5> tensors() const;
  /// torch.ops.assay._linear_loss: [value], for a sum also [undo, five sums]; unwanted ones are empty.
  std::vector<at::Tensor> run() const;
  /// torch.ops.assay._linear_loss_backward: the five gradients, unwanted ones empty.
  std::vector<at::Tensor> run_backward(const at::Tensor& upstream, const at::Tensor& known) const;
};

/// torch.ops.assay._scaled: sum · factor in `dtype`.
at::Tensor scaled(const at::Tensor& sum, const at::Tensor& factor, at::ScalarType dtype);

}  // namespace assay::kernels::torch
