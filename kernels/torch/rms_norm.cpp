// SPDX-License-Identifier: Apache-2.0
// torch.ops.assay.rms_norm and add_rms_norm: kernels/llama's norm with autograd. The inner operators return
// what the backward pass reads; an unwanted output is empty.
#include "kernels/llama/rms_norm.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/torch/autograd_words.hpp"
#include "kernels/torch/llama_rows.hpp"
#include "kernels/torch/pointwise_f64.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;
using ::torch::autograd::AutogradContext;
using ::torch::autograd::variable_list;
using NormResult = std::tuple<Tensor, Tensor, Tensor>;  // y, sum, rstd
using Gradients = std::tuple<Tensor, Tensor>;           // of the sum (or x), of the weight

void check_types(const Tensor& x, const MaybeTensor& residual, const Tensor& weight) {
  check_float(x, "x");
  check_alike(weight, "weight", x, "x");
  if (residual)
    check_alike(*residual, "residual", x, "x");
  TORCH_CHECK_VALUE(x.dim() >= 1 && weight.dim() == 1, "expected x [..., hidden] and weight [hidden], found ",
                    x.dim(), " and ", weight.dim(), " dimensions");
}

void check_sizes(const Tensor& x, const MaybeTensor& residual, const Tensor& weight) {
  TORCH_CHECK_VALUE(weight.size(0) == x.size(-1), "expected weight of ", x.size(-1),
                    " elements, as many as x has columns, found ", weight.size(0));
  if (residual)
    check_same_sizes(*residual, "residual", x, "x");
}

/// rstd of x [..., hidden] is [...], f32 (f64 for f64).
at::ScalarType rstd_type(const Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

void run_forward(const llama::RmsNormForward& args, bool cuda) {
  if (cuda)
    llama::rms_norm(args, c10::cuda::getCurrentCUDAStream());
  else
    llama::rms_norm_cpu(args, at::get_num_threads());
}

NormResult forward(const Tensor& x, const MaybeTensor& residual, const Tensor& weight, double eps) {
  check_types(x, residual, weight);
  check_sizes(x, residual, weight);
  const c10::OptionalDeviceGuard guard(x.device());
  const at::IntArrayRef shape = x.sizes();
  const Tensor rows = rows_of(x), w = weight.contiguous();
  if (x.scalar_type() == at::kDouble) {
    const Tensor h = residual ? rows + rows_of(*residual) : rows;
    const auto [y, rstd] = f64::rms_norm(h, w, eps);
    return {y.view(shape), residual ? h.view(shape) : x.new_empty({0}),
            rstd.view(shape.slice(0, shape.size() - 1))};
  }
  const Tensor y = at::empty(shape, x.options());
  const Tensor sum = residual ? at::empty(shape, x.options()) : x.new_empty({0});
  const Tensor rstd = at::empty(shape.slice(0, shape.size() - 1), x.options().dtype(at::kFloat));
  const Tensor more = residual ? rows_of(*residual) : Tensor();
  run_forward({.type = element_type(x),
               .rows = rows.size(0),
               .hidden = rows.size(1),
               .x = input_rows(rows),
               .residual = input_rows(more),
               .weight = w.const_data_ptr(),
               .eps = static_cast<float>(eps),
               .sum = residual ? output_rows(rows_of(sum)) : llama::OutputRows{},
               .y = output_rows(rows_of(y)),
               .rstd = rstd.mutable_data_ptr<float>()},
              x.is_cuda());
  return {y, sum, rstd};
}

Gradients backward(const Tensor& dy, const MaybeTensor& dsum, const Tensor& h, const Tensor& weight,
                   const Tensor& rstd, bool trains_weight) {
  check_types(h, dsum, weight);
  check_alike(dy, "dy", h, "h");
  check_sizes(h, dsum, weight);
  check_same_sizes(dy, "dy", h, "h");
  const c10::OptionalDeviceGuard guard(h.device());
  const Tensor rows = rows_of(h), dy_rows = rows_of(dy), w = weight.contiguous();
  const Tensor more = dsum ? rows_of(*dsum) : Tensor(), scale = rstd.contiguous();
  if (h.scalar_type() == at::kDouble) {
    const auto [dh, dw] = f64::rms_norm_backward(rows, w, scale.view({-1, 1}), dy_rows, more);
    return {dh.view(h.sizes()), trains_weight ? dw : h.new_empty({0})};
  }
  const Tensor dh = at::empty(h.sizes(), h.options());
  const Tensor dw = trains_weight ? at::empty(weight.sizes(), weight.options()) : h.new_empty({0});
  llama::RmsNormBackward args{.type = element_type(h),
                              .rows = rows.size(0),
                              .hidden = rows.size(1),
                              .h = input_rows(rows),
                              .weight = w.const_data_ptr(),
                              .rstd = scale.const_data_ptr<float>(),
                              .dy = input_rows(dy_rows),
                              .dsum = input_rows(more),
                              .dh = output_rows(rows_of(dh)),
                              .dw = trains_weight ? dw.mutable_data_ptr() : nullptr};
  const Tensor workspace = at::empty({llama::rms_norm_workspace_bytes(args)}, h.options().dtype(at::kByte));
  args.workspace = workspace.mutable_data_ptr();
  if (h.is_cuda())
    llama::rms_norm_backward(args, c10::cuda::getCurrentCUDAStream());
  else
    llama::rms_norm_backward_cpu(args, at::get_num_threads());
  return {dh, dw};
}

NormResult fake_forward(const Tensor& x, const MaybeTensor& residual, const Tensor& weight, double) {
  check_types(x, residual, weight);
  const auto shape = x.sym_sizes();
  const Tensor y = at::empty_symint(shape, x.options());
  return {y, residual ? at::empty_symint(shape, x.options()) : at::empty({0}, x.options()),
          at::empty_symint(shape.slice(0, shape.size() - 1), x.options().dtype(rstd_type(x)))};
}

Gradients fake_backward(const Tensor&, const MaybeTensor&, const Tensor& h, const Tensor& weight,
                        const Tensor&, bool trains_weight) {
  return {
      at::empty_symint(h.sym_sizes(), h.options()),
      trains_weight ? at::empty_symint(weight.sym_sizes(), weight.options()) : at::empty({0}, h.options())};
}

NormResult call_forward(const Tensor& x, const MaybeTensor& residual, const Tensor& weight, double eps) {
  static const auto op = operator_named<decltype(forward)>("assay::_rms_norm");
  return op.call(x, residual, weight, eps);
}
Gradients call_backward(const Tensor& dy, const MaybeTensor& dsum, const Tensor& h, const Tensor& weight,
                        const Tensor& rstd, bool trains_weight) {
  static const auto op = operator_named<decltype(backward)>("assay::_rms_norm_backward");
  return op.call(dy, dsum, h, weight, rstd, trains_weight);
}

/// Of x, residual and weight; outputs y, and the sum where there is a residual.
struct NormFunction : ::torch::autograd::Function<NormFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const MaybeTensor& residual,
                               const Tensor& weight, double eps) {
    ctx->saved_data["trains_weight"] = weight.requires_grad();
    ctx->saved_data["residual"] = residual.has_value();
    ctx->set_materialize_grads(false);
    const at::AutoDispatchBelowADInplaceOrView below;
    const auto [y, sum, rstd] = call_forward(x, residual, weight, eps);
    ctx->save_for_backward({residual ? sum : x, weight, rstd});
    return residual ? variable_list{sum, y} : variable_list{y};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative("rms_norm");
    const variable_list saved = ctx->get_saved_variables();
    const bool residual = ctx->saved_data["residual"].toBool();
    const bool trains_weight = ctx->saved_data["trains_weight"].toBool();
    const Tensor& given = upstream.back();
    const Tensor dy = given.defined() ? given : at::zeros_like(saved[0]);
    const MaybeTensor dsum = residual ? maybe(upstream[0]) : std::nullopt;
    const auto [dh, dw] = call_backward(dy, dsum, saved[0], saved[1], saved[2], trains_weight);
    return {dh, residual ? dh : Tensor(), trains_weight ? dw : Tensor(), Tensor()};
  }
};

template <bool kDifferentiable>
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  if constexpr (kDifferentiable)
    return NormFunction::apply(x, MaybeTensor(), weight, eps)[0];
  return std::get<0>(call_forward(x, {}, weight, eps));
}

template <bool kDifferentiable>
Gradients add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  if constexpr (kDifferentiable) {
    const variable_list out = NormFunction::apply(x, MaybeTensor(residual), weight, eps);
    return {out[0], out[1]};
  }
  auto [y, sum, rstd] = call_forward(x, residual, weight, eps);
  return {sum, y};
}

}  // namespace
}  // namespace assay::kernels::torch

TORCH_LIBRARY_FRAGMENT(assay, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("rms_norm(Tensor x, Tensor weight, float eps=1e-5) -> Tensor", tags);
  m.def("add_rms_norm(Tensor x, Tensor residual, Tensor weight, float eps=1e-5) -> (Tensor sum, Tensor y)",
        tags);
  m.def("_rms_norm(Tensor x, Tensor? residual, Tensor weight, float eps) -> (Tensor, Tensor, Tensor)", tags);
  m.def(
      "_rms_norm_backward(Tensor dy, Tensor? dsum, Tensor h, Tensor weight, Tensor rstd, bool trains_weight) "
      "-> (Tensor, Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(assay, CompositeExplicitAutograd, m) {
  m.impl("rms_norm", assay::kernels::torch::rms_norm<false>);
  m.impl("add_rms_norm", assay::kernels::torch::add_rms_norm<false>);
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("rms_norm", assay::kernels::torch::rms_norm<true>);
  m.impl("add_rms_norm", assay::kernels::torch::add_rms_norm<true>);
}
TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("_rms_norm", assay::kernels::torch::forward);
  m.impl("_rms_norm_backward", assay::kernels::torch::backward);
}
TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("_rms_norm", assay::kernels::torch::forward);
  m.impl("_rms_norm_backward", assay::kernels::torch::backward);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("_rms_norm", assay::kernels::torch::fake_forward);
  m.impl("_rms_norm_backward", assay::kernels::torch::fake_backward);
}
