// SPDX-License-Identifier: Apache-2.0
// torch.ops.assay.linear_cross_entropy and linear_logprob: the last linear layer and its loss on the fast
// path, with autograd. Traceable by torch.compile: everything here is calls of operators.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <string>
#include <tuple>

#include "kernels/torch/autograd_words.hpp"
#include "kernels/torch/linear_loss_call.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;
using backprop::Reduction;
using ::torch::autograd::AutogradContext;
using ::torch::autograd::Variable;
using ::torch::autograd::variable_list;

Reduction reduction_named(std::string_view name) {
  if (name == "mean")
    return Reduction::kMean;
  if (name == "sum")
    return Reduction::kSum;
  TORCH_CHECK_VALUE(name == "none", "expected reduction 'mean', 'sum' or 'none', found '", name, "'");
  return Reduction::kRows;
}

/// A call carried by a node of the graph; its tensors lie in the saved variables.
struct KeptCall : ::torch::CustomClassHolder {
  explicit KeptCall(LinearLossCall from) : call(std::move(from)) {}
  LinearLossCall call;
};

void keep(AutogradContext* ctx, LinearLossCall call) {
  call.hidden = call.weight = call.indices = Tensor();
  call.bias = call.lora_a = call.lora_b = call.class_weight = call.divisor = std::nullopt;
  ctx->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<KeptCall>(std::move(call)));
}

const LinearLossCall& kept(AutogradContext* ctx) {
  return c10::static_intrusive_pointer_cast<KeptCall>(ctx->saved_data["call"].toCapsule())->call;
}

LinearLossCall with_tensors(LinearLossCall call, const MaybeTensor& hidden, const MaybeTensor& weight,
                            const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b) {
  call.hidden = *hidden;
  call.weight = *weight;
  call.bias = bias;
  call.lora_a = lora_a;
  call.lora_b = lora_b;
  return call;
}

/// Types of the five, where they are given; autograd needs them when the sums are turned into gradients.
std::vector<std::int64_t> types_of(const LinearLossCall& call) {
  std::vector<std::int64_t> types;
  for (const Tensor& t : call.tensors())
    types.push_back(t.defined() ? static_cast<std::int64_t>(t.scalar_type()) : -1);
  return types;
}

struct SumFunction : ::torch::autograd::Function<SumFunction> {
  static Variable forward(AutogradContext* ctx, const MaybeTensor& hidden, const MaybeTensor& weight,
                          const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
                          const LinearLossCall& rest) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const LinearLossCall call = with_tensors(rest, hidden, weight, bias, lora_a, lora_b);
    const variable_list found = call.run();
    ctx->save_for_backward({found.begin() + 1, found.end()});
    ctx->saved_data["types"] = types_of(call);
    ctx->saved_data["shape"] = call.hidden.sym_sizes().vec();
    keep(ctx, call);
    return found[0];
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative("linear losses");
    const variable_list saved = ctx->get_saved_variables();
    const std::vector<std::int64_t> types = ctx->saved_data["types"].toIntVector();
    const std::array<bool, 5>& wanted = kept(ctx).wanted;
    const Tensor factor = upstream[0].mul(saved[0]);
    variable_list out(6);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i])
        out[i] = scaled(saved[i + 1], factor, static_cast<at::ScalarType>(types[i]));
    }
    if (wanted[0])
      out[0] = out[0].view_symint(ctx->saved_data["shape"].toSymIntVector());
    return out;
  }
};

struct RowsFunction : ::torch::autograd::Function<RowsFunction> {
  static Variable forward(AutogradContext* ctx, const MaybeTensor& hidden, const MaybeTensor& weight,
                          const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
                          const LinearLossCall& rest) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const LinearLossCall call = with_tensors(rest, hidden, weight, bias, lora_a, lora_b);
    const Tensor values = call.run()[0];
    const auto five = call.tensors();
    variable_list saved(five.begin(), five.end());
    saved.insert(saved.end(), {call.indices, call.class_weight.value_or(Tensor()), values});
    ctx->save_for_backward(std::move(saved));
    keep(ctx, call);
    return values;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative("linear losses");
    const variable_list saved = ctx->get_saved_variables();
    LinearLossCall call =
        with_tensors(kept(ctx), saved[0], saved[1], maybe(saved[2]), maybe(saved[3]), maybe(saved[4]));
    call.indices = saved[5];
    call.class_weight = maybe(saved[6]);
    variable_list out = call.run_backward(upstream[0], saved[7]);
    for (std::size_t i = 0; i < call.wanted.size(); ++i) {
      if (!call.wanted[i])
        out[i] = Tensor();
    }
    out.emplace_back();
    return out;
  }
};

Tensor differentiable(LinearLossCall call) {
  const auto tensors = call.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) call.wanted[i] = wants_gradient(tensors[i]);
  const MaybeTensor hidden = call.hidden, weight = call.weight;
  if (call.reduction == Reduction::kRows)
    return RowsFunction::apply(hidden, weight, call.bias, call.lora_a, call.lora_b, call);
  return SumFunction::apply(hidden, weight, call.bias, call.lora_a, call.lora_b, call);
}

LinearLossCall cross_entropy_call(const Tensor& hidden, const Tensor& weight, const Tensor& labels,
                                  const MaybeTensor& bias, const MaybeTensor& lora_a,
                                  const MaybeTensor& lora_b, double lora_scale, std::string_view reduction,
                                  std::int64_t ignore_index, double label_smoothing, double z_loss,
                                  double softcap, double temperature, const MaybeTensor& class_weight,
                                  const MaybeTensor& divisor, std::optional<std::int64_t> chunk_rows) {
  LinearLossCall call{
      .loss = LinearLoss::kCrossEntropy, .hidden = hidden, .weight = weight, .indices = labels};
  call.bias = bias;
  call.lora_a = lora_a;
  call.lora_b = lora_b;
  call.class_weight = class_weight;
  call.divisor = divisor;
  call.lora_scale = lora_scale;
  call.label_smoothing = label_smoothing;
  call.z_loss = z_loss;
  call.transform = {.softcap = softcap, .temperature = temperature};
  call.reduction = reduction_named(reduction);
  call.ignore_index = ignore_index;
  call.chunk_rows = chunk_rows.value_or(0);
  TORCH_CHECK_VALUE(!chunk_rows || *chunk_rows > 0, "expected chunk_rows of at least 1, found ", *chunk_rows);
  return call;
}

template <bool kDifferentiable>
Tensor linear_cross_entropy(const Tensor& hidden, const Tensor& weight, const Tensor& labels,
                            const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
                            double lora_scale, std::string_view reduction, std::int64_t ignore_index,
                            double label_smoothing, double z_loss, double softcap, double temperature,
                            const MaybeTensor& class_weight, const MaybeTensor& divisor,
                            std::optional<std::int64_t> chunk_rows) {
  LinearLossCall call =
      cross_entropy_call(hidden, weight, labels, bias, lora_a, lora_b, lora_scale, reduction, ignore_index,
                         label_smoothing, z_loss, softcap, temperature, class_weight, divisor, chunk_rows);
  return kDifferentiable ? differentiable(std::move(call)) : call.run()[0];
}

template <bool kDifferentiable>
std::tuple<Tensor, Tensor, Tensor> linear_logprob(const Tensor& hidden, const Tensor& weight,
                                                  const Tensor& tokens, const MaybeTensor& bias,
                                                  const MaybeTensor& lora_a, const MaybeTensor& lora_b,
                                                  double lora_scale, double softcap, double temperature,
                                                  std::optional<std::int64_t> chunk_rows) {
  LinearLossCall call = cross_entropy_call(hidden, weight, tokens, bias, lora_a, lora_b, lora_scale, "none",
                                           -1, 0.0, 0.0, softcap, temperature, {}, {}, chunk_rows);
  call.loss = LinearLoss::kTokenStatistics;
  const Tensor all = kDifferentiable ? differentiable(std::move(call)) : call.run()[0];
  const auto column = [&](std::int64_t i) {
    return all.select(-1, i).clone();
  };  // an operator's outputs share nothing
  return {column(0), column(1), column(2)};
}

}  // namespace
}  // namespace assay::kernels::torch

TORCH_LIBRARY_FRAGMENT(assay, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "linear_cross_entropy(Tensor hidden, Tensor weight, Tensor labels, *, Tensor? bias=None, Tensor? "
      "lora_a=None, "
      "Tensor? lora_b=None, float lora_scale=1.0, str reduction=\"mean\", int ignore_index=-100, float "
      "label_smoothing=0.0, float z_loss=0.0, float softcap=0.0, float temperature=1.0, Tensor? "
      "class_weight=None, "
      "Tensor? divisor=None, int? chunk_rows=None) -> Tensor",
      tags);
  m.def(
      "linear_logprob(Tensor hidden, Tensor weight, Tensor tokens, *, Tensor? bias=None, Tensor? "
      "lora_a=None, "
      "Tensor? lora_b=None, float lora_scale=1.0, float softcap=0.0, float temperature=1.0, int? "
      "chunk_rows=None) -> "
      "(Tensor logprob, Tensor entropy, Tensor logsumexp)",
      tags);
}

TORCH_LIBRARY_IMPL(assay, CompositeExplicitAutograd, m) {
  m.impl("linear_cross_entropy", assay::kernels::torch::linear_cross_entropy<false>);
  m.impl("linear_logprob", assay::kernels::torch::linear_logprob<false>);
}

TORCH_LIBRARY_IMPL(assay, Autograd, m) {
  m.impl("linear_cross_entropy", assay::kernels::torch::linear_cross_entropy<true>);
  m.impl("linear_logprob", assay::kernels::torch::linear_logprob<true>);
}
