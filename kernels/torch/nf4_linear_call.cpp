// SPDX-License-Identifier: Apache-2.0
#include "kernels/torch/nf4_linear_call.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include "kernels/torch/llama_rows.hpp"
#include "kernels/torch/nf4_dequantize.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;

void check_adapter_types(const Tensor& x, const Adapter& adapter) {
  TORCH_CHECK_VALUE(adapter.lora_a.has_value() == adapter.lora_b.has_value(),
                    "expected both lora_a and lora_b, or neither, found one of them");
  if (adapter.bias)
    check_alike(*adapter.bias, "bias", x, "x");
  if (!adapter.has_lora())
    return;
  const Tensor &a = *adapter.lora_a, &b = *adapter.lora_b;
  TORCH_CHECK_VALUE(a.dim() == 2 && b.dim() == 2,
                    "expected lora_a [rank, in_features] and lora_b [out_features, rank], found ", a.dim(),
                    " and ", b.dim(), " dimensions");
  check_alike(b, "lora_b", a, "lora_a");
  TORCH_CHECK_VALUE(a.device() == x.device(), "expected lora_a on x's device ", x.device(), ", found ",
                    a.device());
  TORCH_CHECK_TYPE(a.scalar_type() == x.scalar_type() || a.scalar_type() == at::kFloat,
                   "expected lora_a and lora_b of x's type ", x.scalar_type(), " or float32, found ",
                   a.scalar_type());
}

void check_sizes(std::int64_t in_features, std::int64_t out_features, const Adapter& adapter) {
  TORCH_CHECK_VALUE(out_features >= 0, "expected out_features of at least 0, found ", out_features);
  if (adapter.bias)
    TORCH_CHECK_VALUE(adapter.bias->dim() == 1 && adapter.bias->size(0) == out_features, "expected bias of ",
                      out_features, " elements, found ", adapter.bias->sizes());
  if (!adapter.has_lora())
    return;
  const Tensor &a = *adapter.lora_a, &b = *adapter.lora_b;
  TORCH_CHECK_VALUE(a.size(1) == in_features && b.size(0) == out_features && a.size(0) == b.size(1),
                    "expected lora_a [rank, ", in_features, "] and lora_b [", out_features, ", rank], found ",
                    a.sizes(), " and ", b.sizes());
}

}  // namespace

Tensor Nf4Matrix::decoded(std::int64_t rows, std::int64_t columns, at::ScalarType type) const {
  const bool exact = type == at::kDouble;
  const Tensor weight = dequantize(packed, absmax, {rows, columns}, exact ? at::kFloat : type, block_size,
                                   quant_type, nested_absmax, nested_code, nested_offset, nested_block_size);
  return exact ? weight.to(at::kDouble) : weight;
}

void check_linear_types(const Tensor& x, const Nf4Matrix& weight, const Adapter& adapter) {
  check_float(x, "x");
  TORCH_CHECK_VALUE(x.dim() >= 1, "expected x [..., in_features], found a scalar");
  check_types(weight.arguments());
  TORCH_CHECK_VALUE(weight.packed.device() == x.device(), "expected packed on x's device ", x.device(),
                    ", found ", weight.packed.device());
  check_adapter_types(x, adapter);
}

Tensor linear(const Tensor& x, std::int64_t out_features, const Nf4Matrix& weight, const Adapter& adapter) {
  check_linear_types(x, weight, adapter);
  check_sizes(x.size(-1), out_features, adapter);
  const Tensor rows = rows_of(x);
  const Tensor y = at::linear(rows, weight.decoded(out_features, x.size(-1), x.scalar_type()), adapter.bias);
  if (adapter.has_lora()) {
    const Tensor &a = *adapter.lora_a, &b = *adapter.lora_b;
    const Tensor low = at::mm(rows.to(a.scalar_type()), a.t());
    if (a.scalar_type() == y.scalar_type())
      y.addmm_(low, b.t(), 1.0, adapter.scale);
    else
      y.add_(at::mm(low, b.t()), adapter.scale);
  }
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = out_features;
  return y.view(shape);
}

std::array<Tensor, 4> linear_backward(const Tensor& dy, const MaybeTensor& x, std::int64_t in_features,
                                      const Nf4Matrix& weight, const Adapter& adapter,
                                      const std::array<bool, 4>& wanted) {
  const auto [wants_x, wants_bias, wants_a, wants_b] = wanted;
  check_linear_types(dy, weight, adapter);
  check_sizes(in_features, dy.size(-1), adapter);
  const Tensor upstream = rows_of(dy);
  std::array<Tensor, 4> out;
  if (wants_bias)
    out[1] = upstream.sum(0);
  if (wants_x)
    out[0] = at::mm(upstream, weight.decoded(dy.size(-1), in_features, dy.scalar_type()));
  if (adapter.has_lora()) {
    const Tensor &a = *adapter.lora_a, &b = *adapter.lora_b;
    const Tensor wide = upstream.to(a.scalar_type());
    const Tensor low = wants_x || wants_a ? at::mm(wide, b) : Tensor();  // dy·B
    if (wants_x && a.scalar_type() == dy.scalar_type())
      out[0].addmm_(low, a, 1.0, adapter.scale);
    else if (wants_x)
      out[0].add_(at::mm(low, a), adapter.scale);
    TORCH_CHECK_VALUE(x || !(wants_a || wants_b),
                      "expected x, which the gradients of lora_a and lora_b need");
    const Tensor rows = wants_a || wants_b ? rows_of(*x).to(a.scalar_type()) : Tensor();
    if (wants_a)
      out[2] = at::mm(low.t(), rows).mul_(adapter.scale);
    if (wants_b)
      out[3] = at::mm(wide.t(), at::mm(rows, a.t())).mul_(adapter.scale);
  }
  if (wants_x) {
    std::vector<std::int64_t> shape = dy.sizes().vec();
    shape.back() = in_features;
    out[0] = out[0].view(shape);
  }
  return out;
}

}  // namespace assay::kernels::torch
