// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/flat_rows.hpp"

#include <c10/util/Exception.h>

#include <vector>

namespace assay::kernels::backprop {

using at::Tensor;

Tensor flat_rows(const Tensor& t, std::int64_t leading) {
  std::int64_t rows = 1;
  for (std::int64_t i = 0; i < leading; ++i) rows *= t.size(i);
  std::vector<std::int64_t> shape{rows};
  for (std::int64_t i = leading; i < t.dim(); ++i) shape.push_back(t.size(i));
  return t.reshape(shape);
}

Tensor flat_hidden(const Tensor& hidden) {
  TORCH_CHECK_VALUE(hidden.defined() && hidden.dim() >= 1, "expected hidden states [..., H], found ",
                    hidden.defined() ? "a scalar" : "an undefined tensor");
  return flat_rows(hidden, hidden.dim() - 1);
}

Tensor flat_row_argument(const Tensor& t, std::size_t index, const Tensor& hidden) {
  const std::int64_t leading = hidden.dim() - 1;
  TORCH_CHECK_VALUE(
      t.defined() && t.dim() >= leading && t.sizes().slice(0, leading) == hidden.sizes().slice(0, leading),
      "expected row argument ", index, " to have the rows of the hidden states, ", hidden.sizes(), ", found ",
      t.defined() ? t.sizes() : at::IntArrayRef());
  TORCH_CHECK_VALUE(t.device() == hidden.device(), "expected row argument ", index, " on ", hidden.device(),
                    ", found ", t.device());
  TORCH_CHECK_VALUE(!t.requires_grad(), "expected row argument ", index,
                    " without a gradient: only hidden states and head are differentiated; pass t.detach()");
  return flat_rows(t, leading);
}

}  // namespace assay::kernels::backprop
