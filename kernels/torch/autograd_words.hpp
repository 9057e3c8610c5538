// SPDX-License-Identifier: Apache-2.0
// Words that every differentiable operator of torch.ops.assay needs.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <optional>

namespace assay::kernels::torch {

using MaybeTensor = std::optional<at::Tensor>;

/// A registered operator, to be called through the dispatcher, so that whoever traces sees it.
template <class Signature>
c10::TypedOperatorHandle<Signature> operator_named(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

/// What autograd's lists call undefined is None to an operator.
inline MaybeTensor maybe(const at::Tensor& t) {
  return t.defined() ? MaybeTensor(t) : std::nullopt;
}

/// An operator returns tensors alone: one that nobody wanted is empty, of `like`'s type and device.
inline at::Tensor or_empty(const at::Tensor& t, const at::Tensor& like) {
  return t.defined() ? t : like.new_empty({0});
}

/// Does autograd want a gradient of `t` from what is being called?
inline bool wants_gradient(const at::Tensor& t) {
  return at::GradMode::is_enabled() && t.defined() && t.requires_grad();
}
inline bool wants_gradient(const MaybeTensor& t) {
  return t && wants_gradient(*t);
}

/// Called first in each backward: ours are not differentiable themselves.
inline void refuse_second_derivative(const char* what) {
  TORCH_CHECK(!at::GradMode::is_enabled(), "expected one derivative of assay's ", what,
              ", found create_graph=True; use the plain layer for second derivatives");
}

}  // namespace assay::kernels::torch
