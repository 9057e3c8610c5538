// SPDX-License-Identifier: Apache-2.0
#include "reference/llama/linear.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/custom_function.h>

#include "reference/nf4/table.hpp"

namespace assay::reference::llama {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor code_of(const std::string& quant_type, c10::Device device) {
  TORCH_CHECK_VALUE(quant_type == "nf4" || quant_type == "fp4", "expected quant_type nf4 or fp4, found ",
                    quant_type);
  const float* values = quant_type == "nf4" ? nf4::kNf4Code : nf4::kFp4Code;
  return at::from_blob(const_cast<float*>(values), {16}, at::kFloat).to(device, at::kFloat, false, true);
}

/// One value a block to one value a weight, the last block cut.
Tensor spread(const Tensor& values, std::int64_t times, std::int64_t count) {
  return values.unsqueeze(1).expand({values.size(0), times}).reshape(-1).slice(0, 0, count);
}

/// y = x·Wᵀ + bias with W decoded from 4 bits; what autograd keeps is the packed weight. As bitsandbytes,
/// forward decodes to the type of x, backward to the stored type and from there to the gradient's.
class FourBitLinear : public torch::autograd::Function<FourBitLinear> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const FourBitWeight& weight,
                        const std::optional<Tensor>& bias) {
    context->save_for_backward(
        {weight.packed, weight.absmax, weight.nested_absmax, weight.nested_code, weight.nested_offset});
    context->saved_data["block_size"] = weight.block_size;
    context->saved_data["nested_block_size"] = weight.nested_block_size;
    context->saved_data["quant_type"] = weight.quant_type;
    context->saved_data["rows"] = weight.rows;
    context->saved_data["columns"] = weight.columns;
    context->saved_data["stored_type"] = static_cast<std::int64_t>(weight.stored_type);
    return at::linear(x, dequantize(weight, x.scalar_type()), bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    auto& data = context->saved_data;
    const FourBitWeight weight{.packed = saved[0],
                               .absmax = saved[1],
                               .nested_absmax = saved[2],
                               .nested_code = saved[3],
                               .nested_offset = saved[4],
                               .block_size = data["block_size"].toInt(),
                               .nested_block_size = data["nested_block_size"].toInt(),
                               .quant_type = data["quant_type"].toStringRef(),
                               .rows = data["rows"].toInt(),
                               .columns = data["columns"].toInt(),
                               .stored_type = static_cast<at::ScalarType>(data["stored_type"].toInt())};
    const Tensor& gradient = gradients[0];
    const Tensor dense = dequantize(weight, weight.stored_type).to(gradient.scalar_type());
    return {at::matmul(gradient, dense), Tensor(), Tensor()};
  }
};

Tensor four_bit_linear(const Tensor& x, const FourBitWeight& weight, const Tensor& bias) {
  TORCH_CHECK_VALUE(!bias.defined() || !bias.requires_grad(), "expected a frozen bias beside a 4-bit weight");
  const at::ScalarType type = weight.compute_type;
  const auto cast_bias = bias.defined() ? std::optional(bias.to(type)) : std::nullopt;
  return FourBitLinear::apply(x.to(type), weight, cast_bias).to(x.scalar_type());
}

}  // namespace

Tensor dequantize(const FourBitWeight& weight, at::ScalarType type) {
  const std::int64_t count = weight.rows * weight.columns;
  Tensor absmax = weight.absmax;
  if (weight.nested_absmax.defined())
    absmax = weight.nested_code.index_select(0, absmax.to(at::kInt)) *
                 spread(weight.nested_absmax, weight.nested_block_size, absmax.numel()) +
             weight.nested_offset;
  const Tensor bytes = weight.packed.reshape(-1);
  const Tensor nibbles = at::stack({at::bitwise_right_shift(bytes, 4), at::bitwise_and(bytes, 15)}, 1);
  const Tensor code = code_of(weight.quant_type, bytes.device());
  const Tensor values = code.index_select(0, nibbles.reshape(-1).to(at::kInt)).slice(0, 0, count);
  return (values * spread(absmax, weight.block_size, count)).to(type).reshape({weight.rows, weight.columns});
}

Tensor Linear::operator()(const Tensor& x) const {
  const Tensor base = four_bit ? four_bit_linear(x, *four_bit, bias)
                               : at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
  if (!lora)
    return base;
  const Tensor beside = at::linear(at::linear(x.to(lora->a.scalar_type()), lora->a), lora->b) * lora->scale;
  // PEFT rounds the sum once beside a dense layer, the adapter's part alone beside a 4-bit one.
  return four_bit ? base + beside.to(base.scalar_type()) : (base + beside).to(base.scalar_type());
}

}  // namespace assay::reference::llama
