// SPDX-License-Identifier: Apache-2.0
// torch.ops.assay.swiglu: silu(gate) · up by kernels/llama, with autograd.
#include "kernels/llama/swiglu.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
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
using Gradients = std::tuple<Tensor, Tensor>;

void check_types(const Tensor& gate, const Tensor& up) {
  check_float(gate, "gate");
  check_alike(up, "up", gate, "gate");
  TORCH_CHECK_VALUE(gate.dim() >= 1, "expected gate [..., columns], found a scalar");
}

Tensor forward(const Tensor& gate, const Tensor& up) {
  check_types(gate, up);
  check_same_sizes(up, "up", gate, "gate");
  const c10::OptionalDeviceGuard guard(gate.device());
  const Tensor gates = rows_of(gate), ups = rows_of(up);
  if (gate.scalar_type() == at::kDouble)
    return f64::swiglu(gates, ups).view(gate.sizes());
  const Tensor y = at::empty(gate.sizes(), gate.options());
  const llama::SwigluForward args{.type = element_type(gate),
                                  .rows = gates.size(0),
                                  .columns = gates.size(1),
                                  .gate = input_rows(gates),
                                  .up = input_rows(ups),
                                  .y = output_rows(rows_of(y))};
  if (gate.is_cuda())
    llama::swiglu(args, c10::cuda::getCurrentCUDAStream());
  else
    llama::swiglu_cpu(args, at::get_num_threads());
  return y;
}

Gradients backward(const Tensor& dy, const Tensor& gate, const Tensor& up) {
  check_types(gate, up);
  check_same_sizes(up, "up", gate, "gate");
  check_alike(dy, "dy", gate, "gate");
  check_same_sizes(dy, "dy", gate, "gate");
  const c10::OptionalDeviceGuard guard(gate.device());
  const Tensor gates = rows_of(gate), ups = rows_of(up), upstream = rows_of(dy);
  if (gate.scalar_type() == at::kDouble) {
    const auto [dgate, dup] = f64::swiglu_backward(upstream, gates, ups);
    return {dgate.view(gate.sizes()), dup.view(gate.sizes())};
  }
  const Tensor dgate = at::empty(gate.sizes(), gate.options()), dup = at::empty(gate.sizes(), gate.options());
  const llama::SwigluBackward args{.type = element_type(gate),
                                   .rows = gates.size(0),
                                   .columns = gates.size(1),
                                   .gate = input_rows(gates),
                                   .up = input_rows(ups),
                                   .dy = input_rows(upstream),
                                   .dgate = output_rows(rows_of(dgate)),
                                   .dup = output_rows(rows_of(dup))};
  if (gate.is_cuda())
    llama::swiglu_backward(args, c10::cuda::getCurrentCUDAStream());
  else
    llama::swiglu_backward_cpu(args, at::get_num_threads());
  return {dgate, dup};
}

Tensor fake_forward(const Tensor& gate, const Tensor& up) {
  check_types(gate, up);
  return at::empty_symint(gate.sym_sizes(), gate.options());
}

Gradients fake_backward(const Tensor&, const Tensor& gate, const Tensor&) {
  return {at::empty_symint(gate.sym_sizes(), gate.options()),
          at::empty_symint(gate.sym_sizes(), gate.options())};
}

Tensor call_forward(const Tensor& gate, const Tensor& up) {
  static const auto op = operator_named<decltype(forward)>("assay::swiglu");
  return op.call(gate, up);
}
Gradients call_backward(const Tensor& dy, const Tensor& gate, const Tensor& up) {
  static const auto op = operator_named<decltype(backward)>("assay::_swiglu_backward");
  return op.call(dy, gate, up);
}

struct SwigluFunction : ::torch::autograd::Function<SwigluFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gate, const Tensor& up) {
    const at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({gate, up});
    return call_forward(gate, up);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative("swiglu");
    const variable_list saved = ctx->get_saved_variables();
    const auto [dgate, dup] = call_backward(upstream[0], saved[0], saved[1]);
    return {dgate, dup};
  }
};

Tensor differentiable(const Tensor& gate, const Tensor& up) {
  return SwigluFunction::apply(gate, up);
}

}  // namespace
}  // namespace assay::kernels::torch

TORCH_LIBRARY_FRAGMENT(assay, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("swiglu(Tensor gate, Tensor up) -> Tensor", tags);
  m.def("_swiglu_backward(Tensor dy, Tensor gate, Tensor up) -> (Tensor, Tensor)", tags);
}

TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("swiglu", assay::kernels::torch::differentiable);
}
TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("swiglu", assay::kernels::torch::forward);
  m.impl("_swiglu_backward", assay::kernels::torch::backward);
}
TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("swiglu", assay::kernels::torch::forward);
  m.impl("_swiglu_backward", assay::kernels::torch::backward);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("swiglu", assay::kernels::torch::fake_forward);
  m.impl("_swiglu_backward", assay::kernels::torch::fake_backward);
}
