// SPDX-License-Identifier: Apache-2.0
// torch.ops.assay.rope: queries and keys turned in one pass. The inner operator turns either way, so the
// gradient of the rotation is the operator itself.
#include "kernels/llama/rope.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
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
using Pair = std::tuple<Tensor, Tensor>;

void check_types(const Tensor& q, const Tensor& k, const Tensor& inverse_frequency,
                 const MaybeTensor& positions) {
  check_float(q, "q");
  check_alike(k, "k", q, "q");
  TORCH_CHECK_VALUE(q.dim() == 4 && k.dim() == 4,
                    "expected q and k as [batch, length, heads, head_dim], found ", q.dim(), " and ", k.dim(),
                    " dimensions");
  TORCH_CHECK_TYPE(inverse_frequency.scalar_type() == at::kFloat,
                   "expected inverse_frequency of float32, found ", inverse_frequency.scalar_type());
  TORCH_CHECK_VALUE(inverse_frequency.device() == q.device(), "expected inverse_frequency on q's device ",
                    q.device(), ", found ", inverse_frequency.device());
  if (!positions)
    return;
  TORCH_CHECK_TYPE(positions->scalar_type() == at::kInt || positions->scalar_type() == at::kLong,
                   "expected positions of int32 or int64, found ", positions->scalar_type());
  TORCH_CHECK_VALUE(positions->device() == q.device(), "expected positions on q's device ", q.device(),
                    ", found ", positions->device());
  TORCH_CHECK_VALUE(positions->dim() == 2, "expected positions as [batch, length] or [1, length], found ",
                    positions->dim(), " dimensions");
}

void check_sizes(const Tensor& q, const Tensor& k, const Tensor& inverse_frequency,
                 const MaybeTensor& positions) {
  TORCH_CHECK_VALUE(q.size(0) == k.size(0) && q.size(1) == k.size(1) && q.size(3) == k.size(3),
                    "expected q and k of the same batch, length and head_dim, found ", q.sizes(), " and ",
                    k.sizes());
  TORCH_CHECK_VALUE(
      q.size(3) % 2 == 0 && inverse_frequency.dim() == 1 && inverse_frequency.size(0) == q.size(3) / 2,
      "expected inverse_frequency of half an even head_dim, found ", inverse_frequency.sizes(),
      " for heads of ", q.size(3));
  if (positions)
    TORCH_CHECK_VALUE(
        positions->size(1) == q.size(1) && (positions->size(0) == q.size(0) || positions->size(0) == 1),
        "expected positions as [", q.size(0), " or 1, ", q.size(1), "], found ", positions->sizes());
}

/// Heads whose elements are contiguous; a copy where they are not.
Tensor with_contiguous_heads(const Tensor& x) {
  return x.stride(3) == 1 || x.size(3) == 1 ? x : x.contiguous();
}

llama::RopeTensor heads_of(const Tensor& in, const Tensor& out) {
  return {.in = in.const_data_ptr(),
          .out = out.mutable_data_ptr(),
          .heads = in.size(2),
          .in_strides = {.batch = in.stride(0), .token = in.stride(1), .head = in.stride(2)},
          .out_strides = llama::token_major(in.size(1), in.size(2), in.size(3))};
}

Pair turned_in_f64(const Tensor& q, const Tensor& k, const Tensor& inverse_frequency,
                   const MaybeTensor& positions, bool backward) {
  const Tensor at = positions ? *positions : at::arange(q.size(1), q.options().dtype(at::kLong)).unsqueeze(0);
  const Tensor angles = at.to(at::kDouble).unsqueeze(2).unsqueeze(3) *
                        inverse_frequency.to(at::kDouble);  // [B or 1, L, 1, D/2]
  return {f64::rotated(q, angles, backward), f64::rotated(k, angles, backward)};
}

Pair turn(const Tensor& q, const Tensor& k, const Tensor& inverse_frequency, const MaybeTensor& positions,
          bool backward) {
  check_types(q, k, inverse_frequency, positions);
  check_sizes(q, k, inverse_frequency, positions);
  const c10::OptionalDeviceGuard guard(q.device());
  if (q.scalar_type() == at::kDouble)
    return turned_in_f64(q, k, inverse_frequency, positions, backward);
  const Tensor q_out = at::empty(q.sizes(), q.options()), k_out = at::empty(k.sizes(), k.options());
  if (q_out.numel() + k_out.numel() == 0)
    return {q_out, k_out};
  const Tensor q_in = with_contiguous_heads(q), k_in = with_contiguous_heads(k);
  const Tensor frequencies = inverse_frequency.contiguous();
  const Tensor at = positions ? positions->expand({q.size(0), q.size(1)}).contiguous() : Tensor();
  const llama::Rope args{.type = element_type(q),
                         .batches = q.size(0),
                         .length = q.size(1),
                         .head_dim = q.size(3),
                         .q = heads_of(q_in, q_out),
                         .k = heads_of(k_in, k_out),
                         .inverse_frequency = frequencies.const_data_ptr<float>(),
                         .positions = positions ? at.const_data_ptr() : nullptr,
                         .position_type = positions && at.scalar_type() == at::kInt
                                              ? llama::PositionType::kInt32
                                              : llama::PositionType::kInt64,
                         .backward = backward};
  if (q.is_cuda())
    llama::rope(args, c10::cuda::getCurrentCUDAStream());
  else
    llama::rope_cpu(args, at::get_num_threads());
  return {q_out, k_out};
}

Pair fake_turn(const Tensor& q, const Tensor& k, const Tensor& inverse_frequency,
               const MaybeTensor& positions, bool) {
  check_types(q, k, inverse_frequency, positions);
  return {at::empty_symint(q.sym_sizes(), q.options()), at::empty_symint(k.sym_sizes(), k.options())};
}

Pair call_turn(const Tensor& q, const Tensor& k, const Tensor& inverse_frequency,
               const MaybeTensor& positions, bool backward) {
  static const auto op = operator_named<decltype(turn)>("assay::_rope");
  return op.call(q, k, inverse_frequency, positions, backward);
}

struct RopeFunction : ::torch::autograd::Function<RopeFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& q, const Tensor& k,
                               const Tensor& inverse_frequency, const MaybeTensor& positions) {
    const at::AutoDispatchBelowADInplaceOrView below;
    ctx->save_for_backward({inverse_frequency, positions.value_or(Tensor())});
    const auto [q_out, k_out] = call_turn(q, k, inverse_frequency, positions, false);
    return {q_out, k_out};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative("rope");
    const variable_list saved = ctx->get_saved_variables();
    const auto [dq, dk] = call_turn(upstream[0], upstream[1], saved[0], maybe(saved[1]), true);
    return {dq, dk, Tensor(), Tensor()};
  }
};

template <bool kDifferentiable>
Pair rope(const Tensor& q, const Tensor& k, const Tensor& inverse_frequency, const MaybeTensor& positions) {
  if constexpr (kDifferentiable) {
    const variable_list out = RopeFunction::apply(q, k, inverse_frequency, positions);
    return {out[0], out[1]};
  }
  return call_turn(q, k, inverse_frequency, positions, false);
}

}  // namespace
}  // namespace assay::kernels::torch

TORCH_LIBRARY_FRAGMENT(assay, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("rope(Tensor q, Tensor k, Tensor inverse_frequency, Tensor? positions=None) -> (Tensor q, Tensor k)",
        tags);
  m.def(
      "_rope(Tensor q, Tensor k, Tensor inverse_frequency, Tensor? positions, bool backward) -> (Tensor, "
      "Tensor)",
      tags);
}

TORCH_LIBRARY_IMPL(assay, CompositeExplicitAutograd, m) {
  m.impl("rope", assay::kernels::torch::rope<false>);
}
TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("rope", assay::kernels::torch::rope<true>);
}
TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("_rope", assay::kernels::torch::turn);
}
TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("_rope", assay::kernels::torch::turn);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("_rope", assay::kernels::torch::fake_turn);
}
