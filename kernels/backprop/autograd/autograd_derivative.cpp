// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/autograd_derivative.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>

#include "kernels/backprop/autograd/rounding.hpp"

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

// Beside a chunk's f32 logits a function like cross entropy keeps three more such tensors while it is
// differentiated.
constexpr std::int64_t kBytesPerLogit = 16, kBytesPerTeacherLogit = 12;
// Two rows for each multiprocessor of a large GPU: torch's softmax takes a block a row. Fewer leave the GPU
// half empty, more only need memory, which is there where no sum of dW stands beside the logits. With
// teachers a logit needs more of it. docs/backprop.md has the measurements.
constexpr std::int64_t kMostRows = 512, kMostRowsFrozen = 1024, kMostRowsWithTeachers = 384;
constexpr std::int64_t kChunksAProduct = 8;

/// Autograd switched on for the row function, also inside an operator's kernel, where the dispatcher has
/// masked it.
class Differentiate {
 public:
  explicit Differentiate(bool on) : mode_(on), keys_(with_autograd()) {}

 private:
  static c10::impl::LocalDispatchKeySet with_autograd() {
    c10::impl::LocalDispatchKeySet keys = c10::impl::tls_local_dispatch_key_set();
    keys.excluded_ = keys.excluded_ - c10::autograd_dispatch_keyset_with_ADInplaceOrView;
    return keys;
  }
  at::AutoGradMode mode_;
  c10::impl::ForceDispatchKeyGuard keys_;
};

/// The chunk's logits made a leaf that autograd differentiates.
void make_leaf(MaskedChunk& chunk) {
  chunk.logits = chunk.logits.detach().requires_grad_(true);
}

Tensor derivative(const Tensor& value, const MaskedChunk& chunk, const Tensor& upstream) {
  const Tensor gradient = ::torch::autograd::grad({value}, {chunk.logits}, {upstream})[0];
  const at::AutoGradMode no_gradients(false);
  return rounded_gradient(gradient,
                          chunk);  // a NaN that the function made of a row that does not count stays out
}

}  // namespace

AutogradDerivative::AutogradDerivative(RowFunction function, bool rows_asked, std::int64_t teachers)
    : function_(std::move(function)), rows_asked_(rows_asked), teachers_(teachers) {
  TORCH_CHECK_VALUE(function_ != nullptr, "expected a function of a chunk of logits, found an empty one");
}

/// The function's values, rows that do not count set to zero.
Tensor AutogradDerivative::value_of(const MaskedChunk& chunk) const {
  const Tensor value = function_(chunk);
  const std::int64_t rows = chunk.logits.size(0);
  TORCH_CHECK_VALUE(value.defined(), "expected the row function to return a tensor, found an undefined one");
  TORCH_CHECK_TYPE(value.scalar_type() == at::kFloat || value.scalar_type() == at::kDouble,
                   "expected the row function to return f32 (f64) values, found ", value.scalar_type(),
                   "; the logits it gets are f32 so that nothing is rounded to 16 bits on the way");
  const bool per_row = value.dim() >= 1 && value.dim() <= 2 && value.size(0) == rows;
  const bool scalar_allowed = !rows_asked_ && !chunk.mask.defined();
  TORCH_CHECK_VALUE(per_row || (value.dim() == 0 && scalar_allowed),
                    "expected the row function to return one value (or k) for each of ", rows, " rows",
                    rows_asked_      ? ""
                    : scalar_allowed ? ", or a scalar sum"
                                     : " (the rows that count are known to the GPU alone)",
                    ", found ", value.sizes());
  if (!chunk.mask.defined())
    return value;
  return at::where(value.dim() == 2 ? chunk.mask.unsqueeze(1) : chunk.mask, value, at::zeros_like(value));
}

ChunkDerivative::Result AutogradDerivative::sum(MaskedChunk& chunk, const Tensor& scale,
                                                bool with_gradient) const {
  const Differentiate differentiate(with_gradient);
  if (with_gradient)
    make_leaf(chunk);
  const Tensor sum = at::sum(value_of(chunk), at::kDouble);
  return {sum.detach(), with_gradient ? derivative(sum, chunk, scale) : Tensor()};
}

Tensor AutogradDerivative::values(MaskedChunk& chunk) const {
  return value_of(chunk);
}

Tensor AutogradDerivative::gradient(MaskedChunk& chunk, const Tensor& upstream, const Tensor&) const {
  const Differentiate differentiate(true);
  make_leaf(chunk);
  const Tensor value = value_of(chunk);
  return derivative(value, chunk, upstream.to(value.scalar_type()));
}

std::int64_t AutogradDerivative::bytes_per_logit() const {
  return kBytesPerLogit + kBytesPerTeacherLogit * teachers_;
}

std::int64_t AutogradDerivative::most_rows(bool sums_weight) const {
  if (teachers_ > 0)
    return kMostRowsWithTeachers;
  return sums_weight ? kMostRows : kMostRowsFrozen;
}

std::int64_t AutogradDerivative::chunks_a_product() const {
  return kChunksAProduct;
}

}  // namespace assay::kernels::backprop
