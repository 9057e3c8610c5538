// SPDX-License-Identifier: Apache-2.0
// Both directions of the chunked pass. Forward of a sum makes the gradients at once (three products a chunk,
// nothing is computed twice); forward of per-row values keeps nothing and backward makes the logits again,
// because only then is the upstream gradient of each row known.
#include "kernels/backprop/autograd/memory_efficient_linear.hpp"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>

#include "kernels/backprop/autograd/apply_chunked.hpp"
#include "kernels/backprop/autograd/autograd_derivative.hpp"
#include "kernels/backprop/autograd/chunked_pass.hpp"

namespace assay::kernels::backprop {
namespace {

using at::Tensor;
using ::torch::autograd::AutogradContext;
using ::torch::autograd::Variable;
using ::torch::autograd::variable_list;

/// What backward needs and autograd does not keep by itself.
template <class T>
struct Kept : ::torch::CustomClassHolder {
  explicit Kept(T from) : value(std::move(from)) {}
  T value;
};

template <class T>
void keep(AutogradContext* ctx, T value) {
  ctx->saved_data["kept"] = c10::IValue::make_capsule(c10::make_intrusive<Kept<T>>(std::move(value)));
}

template <class T>
const T& kept(AutogradContext* ctx) {
  return c10::static_intrusive_pointer_cast<Kept<T>>(ctx->saved_data["kept"].toCapsule())->value;
}

using Call = std::shared_ptr<const ChunkedCall>;

/// hidden, weight, bias, lora_a, lora_b.
variable_list tensors_of(const Tensor& hidden, const LinearHead& head) {
  return {hidden, head.weight, head.bias, head.lora_a, head.lora_b};
}

Wanted wanted_of(const variable_list& tensors) {
  const auto asks = [&](std::size_t i) { return tensors[i].defined() && tensors[i].requires_grad(); };
  return {.hidden = asks(0), .weight = asks(1), .bias = asks(2), .lora_a = asks(3), .lora_b = asks(4)};
}

void refuse_second_derivative() {
  TORCH_CHECK(
      !at::GradMode::is_enabled(),
      "memory_efficient_linear is differentiable once: the gradient was asked for with create_graph=true; "
      "use the plain layer for second derivatives");
}

/// The wanted gradients, one entry a forward argument: the five tensors, then the call.
variable_list finished(const GradientLayout& layout, const Tensor* sums, const Tensor& factor) {
  variable_list out(kTensors + 1);
  for (std::size_t i = 0; i < kTensors; ++i) out[i] = layout.finished(sums[i], i, factor);
  return out;
}

/// Undefined tensors travel as nothing: autograd cannot look at them.
using Maybe = std::optional<Tensor>;
Maybe maybe(const Tensor& t) {
  return t.defined() ? Maybe(t) : std::nullopt;
}

template <class... Tensors>
variable_list list_of(const Tensors&... tensors) {
  return {tensors.value_or(Tensor())...};
}

struct SumFunction : ::torch::autograd::Function<SumFunction> {
  static Variable forward(AutogradContext* ctx, const Maybe& hidden, const Maybe& weight, const Maybe& bias,
                          const Maybe& lora_a, const Maybe& lora_b, const Call& call) {
    PassResult result = call->sum_with_gradients(list_of(hidden, weight, bias, lora_a, lora_b));
    variable_list saved{result.undo};
    saved.insert(saved.end(), result.sums.begin(), result.sums.end());
    ctx->save_for_backward(std::move(saved));
    keep(ctx, call->layout());
    return result.value;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative();
    const variable_list saved = ctx->get_saved_variables();
    return finished(kept<GradientLayout>(ctx), saved.data() + 1, upstream[0].mul(saved[0]));
  }
};

struct RowsFunction : ::torch::autograd::Function<RowsFunction> {
  static Variable forward(AutogradContext* ctx, const Maybe& hidden, const Maybe& weight, const Maybe& bias,
                          const Maybe& lora_a, const Maybe& lora_b, const Call& call) {
    variable_list tensors = list_of(hidden, weight, bias, lora_a, lora_b);
    const Tensor values = call->values(tensors);
    tensors.push_back(values);
    ctx->save_for_backward(std::move(tensors));
    keep(ctx, call);
    return values;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& upstream) {
    refuse_second_derivative();
    const variable_list saved = ctx->get_saved_variables();
    const Call call = kept<Call>(ctx);
    const PassResult result =
        call->gradients_of_values({saved.data(), kTensors}, upstream[0], saved[kTensors]);
    return finished(call->layout(), result.sums.data(), result.undo);
  }
};

}  // namespace

Tensor memory_efficient_linear(const Tensor& hidden, const LinearHead& head, const RowFunction& function,
                               const std::vector<Tensor>& row_arguments, const std::vector<Teacher>& teachers,
                               const MemoryEfficientOptions& options) {
  const auto derivative = std::make_shared<const AutogradDerivative>(
      function, options.reduction == Reduction::kRows, static_cast<std::int64_t>(teachers.size()));
  return apply_chunked(hidden, head, derivative, row_arguments, teachers, options);
}

Tensor apply_chunked(const Tensor& hidden, const LinearHead& head,
                     std::shared_ptr<const ChunkDerivative> derivative,
                     const std::vector<Tensor>& row_arguments, const std::vector<Teacher>& teachers,
                     const MemoryEfficientOptions& options) {
  const variable_list tensors = tensors_of(hidden, head);
  const Wanted wanted = at::GradMode::is_enabled() ? wanted_of(tensors) : Wanted{};
  const auto call = std::make_shared<const ChunkedCall>(hidden, head, std::move(derivative), row_arguments,
                                                        teachers, options, wanted);
  const Maybe weight = maybe(head.weight), bias = maybe(head.bias);
  const Maybe lora_a = maybe(head.lora_a), lora_b = maybe(head.lora_b);
  if (options.reduction == Reduction::kRows)
    return RowsFunction::apply(Maybe(hidden), weight, bias, lora_a, lora_b, call);
  return SumFunction::apply(Maybe(hidden), weight, bias, lora_a, lora_b, call);
}

}  // namespace assay::kernels::backprop
