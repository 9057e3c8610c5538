// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/fused_losses.hpp"

#include <c10/util/Exception.h>

#include "kernels/backprop/autograd/apply_chunked.hpp"
#include "kernels/backprop/autograd/fused_derivative.hpp"
#include "kernels/backprop/autograd/rows_that_count.hpp"

namespace assay::kernels::backprop {

using at::Tensor;

Tensor fused_linear_cross_entropy(const Tensor& hidden, const LinearHead& head, const Tensor& labels,
                                  const CrossEntropyOptions& loss, MemoryEfficientOptions options) {
  check_tokens(labels, hidden, "labels");
  TORCH_CHECK_VALUE(!loss.class_weight.defined() ||
                        (loss.class_weight.dim() == 1 && loss.class_weight.device() == hidden.device()),
                    "expected class weights [V] on ", hidden.device(), ", found ", loss.class_weight.sizes(),
                    " on ", loss.class_weight.device());
  count_labels(labels, loss, options);
  return apply_chunked(hidden, head, std::make_shared<const FusedCrossEntropy>(loss), {labels}, {}, options);
}

Tensor fused_linear_token_statistics(const Tensor& hidden, const LinearHead& head, const Tensor& tokens,
                                     LogitTransform transform, MemoryEfficientOptions options) {
  check_tokens(tokens, hidden, "tokens");
  options.reduction = Reduction::kRows;
  options.counts = both_count(options.counts, tokens.ge(0));
  return apply_chunked(hidden, head, std::make_shared<const FusedTokenStatistics>(transform), {tokens}, {},
                       options);
}

}  // namespace assay::kernels::backprop
