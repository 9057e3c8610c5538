// SPDX-License-Identifier: Apache-2.0
// The f64 oracle where scalar loops would take hours: the same formulas by f64 tensor operations, rows by
// rows, without autograd, on any device. Held against the scalar oracle at small sizes.
#pragma once

#include <functional>
#include <vector>

#include "reference/backprop/eager/losses.hpp"

namespace assay::reference::backprop::eager {

/// value: f64 scalar (the chunk's part of the loss), dlogits: f64 [R, V].
struct ChunkOfLoss {
  at::Tensor value, dlogits;
};
/// logits: f64 [R, V] of rows [begin, begin + R).
using Formula = std::function<ChunkOfLoss(const at::Tensor& logits, std::int64_t begin)>;

/// f64 on the CPU; gradients of upstream · value, undefined where the head has no such tensor.
struct Truth {
  double value = 0.0;
  at::Tensor hidden, weight, bias, lora_a, lora_b;
};

/// Tensors of any floating type; all are taken as f64. `want_weight` false: no weight or bias gradient.
Truth streamed(const at::Tensor& hidden, const Head& head, const Formula& formula, double upstream,
               bool want_weight);
/// f64 [N, 3] on the CPU.
at::Tensor streamed_statistics(const at::Tensor& hidden, const Head& head, const at::Tensor& tokens,
                               const Transform& transform);

Formula cross_entropy_formula(const at::Tensor& labels, const CrossEntropy& options);
Formula cross_entropy_soft_formula(const at::Tensor& targets, const CrossEntropy& options);
/// dlogits of Σ upstream ∘ statistics, upstream [N, 3]; value is that sum.
Formula token_statistics_formula(const at::Tensor& tokens, const Transform& transform,
                                 const at::Tensor& upstream);
Formula mean_squared_error_formula(const at::Tensor& targets);
Formula distillation_formula(const Teacher& teacher, double temperature, double beta);

}  // namespace assay::reference::backprop::eager
