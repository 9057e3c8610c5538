// SPDX-License-Identifier: Apache-2.0
// torch.ops.assay.nf4_linear: schemas, fake kernels and autograd around nf4_linear_call. The base is frozen:
// x, bias, lora_a and lora_b are differentiable.
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels/torch/autograd_words.hpp"
#include "kernels/torch/nf4_linear_call.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;
using ::torch::autograd::AutogradContext;
using ::torch::autograd::variable_list;
using Tensors = std::vector<Tensor>;

Nf4Matrix matrix_of(const Tensor& packed, const Tensor& absmax, std::int64_t block_size,
                    std::string_view quant_type, const MaybeTensor& nested_absmax,
                    const MaybeTensor& nested_code, const MaybeTensor& nested_offset,
                    std::int64_t nested_block_size) {
  return {.packed = packed,
          .absmax = absmax,
          .block_size = block_size,
          .quant_type = std::string(quant_type),
          .nested_absmax = nested_absmax,
          .nested_code = nested_code,
          .nested_offset = nested_offset,
          .nested_block_size = nested_block_size};
}

Tensor forward(const Tensor& x, const Tensor& packed, const Tensor& absmax, std::int64_t out_features,
               const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
               double lora_scale, std::int64_t block_size, std::string_view quant_type,
               const MaybeTensor& nested_absmax, const MaybeTensor& nested_code,
               const MaybeTensor& nested_offset, std::int64_t nested_block_size) {
  const c10::OptionalDeviceGuard guard(x.device());
  return linear(x, out_features,
                matrix_of(packed, absmax, block_size, quant_type, nested_absmax, nested_code, nested_offset,
                          nested_block_size),
                {bias, lora_a, lora_b, lora_scale});
}

Tensors backward(const Tensor& dy, const MaybeTensor& x, const Tensor& packed, const Tensor& absmax,
                 std::int64_t in_features, const MaybeTensor& bias, const MaybeTensor& lora_a,
                 const MaybeTensor& lora_b, double lora_scale, std::int64_t block_size,
                 std::string_view quant_type, const MaybeTensor& nested_absmax,
                 const MaybeTensor& nested_code, const MaybeTensor& nested_offset,
                 std::int64_t nested_block_size, std::array<bool, 4> wanted) {
  const c10::OptionalDeviceGuard guard(dy.device());
  const auto gradients = linear_backward(dy, x, in_features,
                                         matrix_of(packed, absmax, block_size, quant_type, nested_absmax,
                                                   nested_code, nested_offset, nested_block_size),
                                         {bias, lora_a, lora_b, lora_scale}, wanted);
  Tensors out;
  for (const Tensor& gradient : gradients) out.push_back(or_empty(gradient, dy));
  return out;
}

Tensor fake_forward(const Tensor& x, const Tensor& packed, const Tensor& absmax, c10::SymInt out_features,
                    const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
                    double lora_scale, std::int64_t block_size, std::string_view quant_type,
                    const MaybeTensor& nested_absmax, const MaybeTensor& nested_code,
                    const MaybeTensor& nested_offset, std::int64_t nested_block_size) {
  check_linear_types(x,
                     matrix_of(packed, absmax, block_size, quant_type, nested_absmax, nested_code,
                               nested_offset, nested_block_size),
                     {bias, lora_a, lora_b, lora_scale});
  std::vector<c10::SymInt> shape = x.sym_sizes().vec();
  shape.back() = out_features;
  return at::empty_symint(shape, x.options());
}

Tensors fake_backward(const Tensor& dy, const MaybeTensor&, const Tensor&, const Tensor&,
                      c10::SymInt in_features, const MaybeTensor& bias, const MaybeTensor& lora_a,
                      const MaybeTensor& lora_b, double, std::int64_t, std::string_view, const MaybeTensor&,
                      const MaybeTensor&, const MaybeTensor&, std::int64_t, std::array<bool, 4> wanted) {
  std::vector<c10::SymInt> shape = dy.sym_sizes().vec();
  shape.back() = in_features;
  Tensors out{wanted[0] ? at::empty_symint(shape, dy.options()) : at::empty({0}, dy.options())};
  const MaybeTensor* const others[] = {&bias, &lora_a, &lora_b};
  for (std::size_t i = 0; i < std::size(others); ++i)
    out.push_back(wanted[i + 1] ? at::empty_symint((*others[i])->sym_sizes(), (*others[i])->options())
                                : at::empty({0}, dy.options()));
  return out;
}

/// Carried from forward to backward beside the saved tensors; its tensors lie there too.
struct KeptLayer : ::torch::CustomClassHolder {
  std::int64_t block_size = 0, nested_block_size = 0;
  std::string quant_type;
  double lora_scale = 1.0;
  std::array<bool, 4> wanted = {};
};

struct LinearFunction : ::torch::autograd::Function<LinearFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const MaybeTensor& bias,
                        const MaybeTensor& lora_a, const MaybeTensor& lora_b, const Nf4Matrix& w,
                        c10::SymInt out_features, double lora_scale, const std::array<bool, 4>& wanted) {
    const at::AutoDispatchBelowADInplaceOrView below;
    auto kept = c10::make_intrusive<KeptLayer>();
    kept->block_size = w.block_size;
    kept->nested_block_size = w.nested_block_size;
    kept->quant_type = w.quant_type;
    kept->lora_scale = lora_scale;
    kept->wanted = wanted;
    ctx->saved_data["layer"] = c10::IValue::make_capsule(kept);
    ctx->saved_data["in_features"] = x.sym_size(-1);
    // A frozen adapter has no use for x.
    ctx->save_for_backward({wanted[2] || wanted[3] ? x : Tensor(), w.packed, w.absmax,
                            bias.value_or(Tensor()), lora_a.value_or(Tensor()), lora_b.value_or(Tensor()),
                            w.nested_absmax.value_or(Tensor()), w.nested_code.value_or(Tensor()),
                            w.nested_offset.value_or(Tensor())});
    static const auto op = operator_named<decltype(fake_forward)>("assay::nf4_linear");
    return op.call(x, w.packed, w.absmax, out_features, bias, lora_a, lora_b, lora_scale, w.block_size,
                   w.quant_type, w.nested_absmax, w.nested_code, w.nested_offset, w.nested_block_size);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative("nf4_linear");
    const auto kept = c10::static_intrusive_pointer_cast<KeptLayer>(ctx->saved_data["layer"].toCapsule());
    const variable_list saved = ctx->get_saved_variables();
    static const auto op = operator_named<decltype(fake_backward)>("assay::_nf4_linear_backward");
    const Tensors found =
        op.call(upstream[0], maybe(saved[0]), saved[1], saved[2], ctx->saved_data["in_features"].toSymInt(),
                maybe(saved[3]), maybe(saved[4]), maybe(saved[5]), kept->lora_scale, kept->block_size,
                kept->quant_type, maybe(saved[6]), maybe(saved[7]), maybe(saved[8]), kept->nested_block_size,
                kept->wanted);
    variable_list out(8);
    for (std::size_t i = 0; i < kept->wanted.size(); ++i) {
      if (kept->wanted[i])
        out[i] = found[i];
    }
    return out;
  }
};

Tensor differentiable(const Tensor& x, const Tensor& packed, const Tensor& absmax, c10::SymInt out_features,
                      const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
                      double lora_scale, std::int64_t block_size, std::string_view quant_type,
                      const MaybeTensor& nested_absmax, const MaybeTensor& nested_code,
                      const MaybeTensor& nested_offset, std::int64_t nested_block_size) {
  const std::array<bool, 4> wanted{wants_gradient(x), wants_gradient(bias), wants_gradient(lora_a),
                                   wants_gradient(lora_b)};
  return LinearFunction::apply(x, bias, lora_a, lora_b,
                               matrix_of(packed, absmax, block_size, quant_type, nested_absmax, nested_code,
                                         nested_offset, nested_block_size),
                               out_features, lora_scale, wanted);
}

}  // namespace
}  // namespace assay::kernels::torch

#define ASSAY_NF4_OPTIONS                                                                                  \
  "Tensor? bias=None, Tensor? lora_a=None, Tensor? lora_b=None, float lora_scale=1.0, int block_size=64, " \
  "str quant_type=\"nf4\", Tensor? nested_absmax=None, Tensor? nested_code=None, Tensor? "                 \
  "nested_offset=None, int nested_block_size=256"

TORCH_LIBRARY_FRAGMENT(assay, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def("nf4_linear(Tensor x, Tensor packed, Tensor absmax, SymInt out_features, *, " ASSAY_NF4_OPTIONS
        ") -> Tensor",
        tags);
  m.def(
      "_nf4_linear_backward(Tensor dy, Tensor? x, Tensor packed, Tensor absmax, SymInt in_features, "
      "*, " ASSAY_NF4_OPTIONS ", bool[4] wanted) -> Tensor[]",
      tags);
}
#undef ASSAY_NF4_OPTIONS

TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("nf4_linear", assay::kernels::torch::differentiable);
}
TORCH_LIBRARY_IMPL(assay, CPU, m) {
  m.impl("nf4_linear", assay::kernels::torch::forward);
  m.impl("_nf4_linear_backward", assay::kernels::torch::backward);
}
TORCH_LIBRARY_IMPL(assay, CUDA, m) {
  m.impl("nf4_linear", assay::kernels::torch::forward);
  m.impl("_nf4_linear_backward", assay::kernels::torch::backward);
}
TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("nf4_linear", assay::kernels::torch::fake_forward);
  m.impl("_nf4_linear_backward", assay::kernels::torch::fake_backward);
}
