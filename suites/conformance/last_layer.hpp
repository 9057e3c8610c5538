// SPDX-License-Identifier: Apache-2.0
// A small last layer with random weights, and what the cases of losses compare: values and gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/backprop/autograd/losses.hpp"

namespace assay::suites::conformance {

/// hidden [N, H], weight [V, H] and an adapter of rank 3 where `adapted`; all require gradients. labels [N].
struct LastLayer {
  at::Tensor hidden, weight, lora_a, lora_b, labels;

  LastLayer(std::int64_t rows, std::int64_t width, std::int64_t vocab, at::ScalarType type,
            bool adapted = false);

  /// The same values as f64 leaves.
  LastLayer in_f64() const;
  /// Replaces hidden by other values of its type.
  void set_hidden(const at::Tensor& values);
  kernels::backprop::LinearHead head() const;
  std::vector<at::Tensor> tensors() const;  ///< what requires gradients
  at::Tensor logits() const;                ///< plain, in the tensors' type

  static constexpr double kLoraScale = 2.0;
};

/// Gradients of `loss` (times `upstream` where given), zeros where it does not depend on a tensor.
std::vector<at::Tensor> gradients(const at::Tensor& loss, const std::vector<at::Tensor>& of,
                                  const at::Tensor& upstream = {});

/// ‖found − truth‖ / ‖truth‖ in f64; NaN and infinity stay what they are.
double relative_error(const at::Tensor& found, const at::Tensor& truth);

/// Demands value and gradients of `loss` within `limit` of the truth's.
void demand_same(const at::Tensor& loss, const std::vector<at::Tensor>& of, const at::Tensor& truth,
                 const std::vector<at::Tensor>& of_truth, double limit);

}  // namespace assay::suites::conformance
