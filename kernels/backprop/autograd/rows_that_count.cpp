// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/rows_that_count.hpp"

#include <ATen/ops/index_select.h>
#include <ATen/ops/sum.h>
#include <c10/util/Exception.h>

namespace assay::kernels::backprop {

using at::Tensor;

namespace {

/// Σ of the class weights of the labels that count: what torch's mean divides by.
Tensor weight_of_labels(const Tensor& labels, const CrossEntropyOptions& loss, const Tensor& counts) {
  const Tensor flat = labels.reshape({-1});
  const Tensor counted = both_count(counts, labels.ne(loss.ignore_index)).to(flat.device());
  const Tensor of_label = at::index_select(loss.class_weight, 0, flat.masked_fill(counted.logical_not(), 0));
  return at::sum(of_label.masked_fill(counted.logical_not(), 0.0));
}

}  // namespace

void check_tokens(const Tensor& tokens, const Tensor& hidden, const char* name) {
  TORCH_CHECK_VALUE(
      tokens.scalar_type() == at::kLong && tokens.sizes() == hidden.sizes().slice(0, hidden.dim() - 1),
      "expected ", name, " as int64 with the rows of the hidden states ", hidden.sizes(), ", found ",
      tokens.scalar_type(), " ", tokens.sizes());
}

Tensor both_count(const Tensor& counts, const Tensor& counting) {
  if (!counts.defined())
    return counting.reshape({-1});
  return counts.device() == counting.device() ? counts.logical_and(counting.reshape({-1})) : counts;
}

void count_labels(const Tensor& labels, const CrossEntropyOptions& loss, MemoryEfficientOptions& options) {
  if (options.reduction == Reduction::kMean && loss.class_weight.defined() && !options.divisor.defined())
    options.divisor = weight_of_labels(labels, loss, options.counts);
  options.counts = both_count(options.counts, labels.ne(loss.ignore_index));
}

}  // namespace assay::kernels::backprop
