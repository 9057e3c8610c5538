// SPDX-License-Identifier: Apache-2.0
// Which rows a loss counts, from its labels, and what its mean divides by.
#pragma once

#include "kernels/backprop/autograd/losses.hpp"

namespace assay::kernels::backprop {

/// Throws c10::Error unless `tokens` is int64 with the rows of the hidden states.
void check_tokens(const at::Tensor& tokens, const at::Tensor& hidden, const char* name);

/// Rows that the caller counts and that `counting` (any shape) marks, flat. What the caller says on the CPU
/// about rows on the GPU is taken as it is: asking the GPU would wait for it.
at::Tensor both_count(const at::Tensor& counts, const at::Tensor& counting);

/// Leaves out rows whose label is ignore_index; with class weights the mean divides by Σ weight[label] over
/// the rest.
void count_labels(const at::Tensor& labels, const CrossEntropyOptions& loss, MemoryEfficientOptions& options);

}  // namespace assay::kernels::backprop
