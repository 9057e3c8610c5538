// SPDX-License-Identifier: Apache-2.0
// Losses against another set of numbers of every row: regression, and a teacher's distribution.
#pragma once

#include "reference/backprop/linear_head.hpp"

namespace assay::reference::backprop {

/// Mean over rows of Σ_v (x_v − targets_v)² / V.
Loss mean_squared_error(const Matrix& logits, const Matrix& targets);

/// Mean over rows of temperature² · JSD_β of q = softmax(teacher / temperature), p = softmax(student /
/// temperature):
///   M = β·q + (1−β)·p,   JSD = β·KL(q‖M) + (1−β)·KL(p‖M);   β = 0: KL(q‖p), β = 1: KL(p‖q)
/// (Agarwal et al. 2024). The teacher gets no gradient.
Loss distillation(const Matrix& student, const Matrix& teacher, double temperature, double beta);

}  // namespace assay::reference::backprop
