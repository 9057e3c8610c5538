// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/eager/eager_step.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <utility>

#include "kernels/compile/eager/operations.hpp"
#include "kernels/nf4/dequantize_cpu.hpp"

namespace assay::kernels::compile {
namespace {

using at::Tensor;

nf4::ScalarType scalar_type(at::ScalarType type) {
  return type == at::kHalf       ? nf4::ScalarType::kFloat16
         : type == at::kBFloat16 ? nf4::ScalarType::kBfloat16
                                 : nf4::ScalarType::kFloat32;
}

}  // namespace

EagerStep::EagerStep(Program program, at::ScalarType compute, at::Device device)
    : program_(std::move(program)), compute_(compute) {
  TORCH_CHECK_VALUE(compute == at::kHalf || compute == at::kBFloat16 || compute == at::kFloat,
                    "expected to compute in f16, bf16 or f32, found ", compute);
  const std::size_t bytes = compute == at::kFloat ? 4 : 2;
  const ArenaLives lives = arena_lives(program_, bytes);
  plan_ = plan_arena(lives.lives);
  arena_ = at::empty({static_cast<std::int64_t>(plan_.bytes)}, at::TensorOptions(at::kByte).device(device));
  tensors_.resize(program_.buffers.size());
  for (std::size_t i = 0; i < lives.buffers.size(); ++i) {
    const Buffer& buffer = program_.buffers[static_cast<std::size_t>(lives.buffers[i])];
    const auto size = static_cast<std::int64_t>(lives.lives[i].bytes);
    tensors_[static_cast<std::size_t>(lives.buffers[i])] =
        arena_.narrow(0, static_cast<std::int64_t>(plan_.offsets[i]), size)
            .view(type_of(buffer.element))
            .view({buffer.rows, buffer.columns});
  }
  for (std::size_t i = 0; i < program_.buffers.size(); ++i) {
    const Buffer& b = program_.buffers[i];
    if (b.role == Role::kResult || b.role == Role::kCopy || b.role == Role::kGradient ||
        b.role == Role::kMoment)
      tensors_[i] = at::zeros({b.rows, b.columns}, at::TensorOptions(type_of(b.element)).device(device));
  }
}

at::ScalarType EagerStep::type_of(Element element) const {
  switch (element) {
    case Element::kCompute:
      return compute_;
    case Element::kFloat32:
      return at::kFloat;
    case Element::kInt32:
      return at::kInt;
    case Element::kInt64:
      return at::kLong;
    case Element::kPacked:
      return at::kByte;
  }
  TORCH_CHECK(false, "unknown element");
}

void EagerStep::bind(const std::string& name, const Tensor& tensor) {
  const auto index = static_cast<std::size_t>(program_.find(name));
  const Buffer& buffer = program_.buffers[index];
  TORCH_CHECK_VALUE(buffer.role != Role::kArena && buffer.element != Element::kPacked, "'", name,
                    "' is not a tensor that a caller gives");
  TORCH_CHECK_VALUE(tensor.scalar_type() == type_of(buffer.element) && tensor.is_contiguous() &&
                        tensor.numel() == buffer.rows * buffer.columns,
                    "expected '", name, "' contiguous, ", type_of(buffer.element), ", of ", buffer.rows,
                    " × ", buffer.columns, ", found ", tensor.scalar_type(), " ", tensor.sizes());
  tensors_[index] = tensor.view({buffer.rows, buffer.columns});
}

void EagerStep::bind(const std::string& name, const PackedTensors& weight) {
  const int index = program_.find(name);
  const Buffer& buffer = program_.buffers[static_cast<std::size_t>(index)];
  TORCH_CHECK_VALUE(buffer.element == Element::kPacked, "'", name, "' is not a packed weight");
  TORCH_CHECK_VALUE(weight.packed.numel() == (buffer.rows * buffer.columns + 1) / 2, "expected '", name,
                    "' to hold ", buffer.rows, " × ", buffer.columns, " weights in ",
                    (buffer.rows * buffer.columns + 1) / 2, " bytes, found ", weight.packed.numel());
  packed_[index] = weight;
}

void EagerStep::copy_adapters() {
  for (std::size_t i = 0; i < program_.buffers.size(); ++i) {
    const Buffer& buffer = program_.buffers[i];
    if (buffer.role == Role::kAdapter)
      tensor(buffer.name + ".copy").copy_(tensor(buffer.name));
  }
}

Tensor EagerStep::tensor(const std::string& name) const {
  return of({.buffer = program_.find(name)});
}

Tensor EagerStep::of(const Operand& operand) const {
  const Tensor& whole = tensors_[static_cast<std::size_t>(operand.buffer)];
  TORCH_CHECK_VALUE(whole.defined(), "expected a tensor for '",
                    program_.buffers[static_cast<std::size_t>(operand.buffer)].name,
                    "', found none: bind it");
  return operand.columns == 0 ? whole : whole.narrow(1, operand.column, operand.columns);
}

void EagerStep::run() {
  const at::NoGradGuard no_gradients;
  for (const Op& op : program_.ops) run(op);
}

void EagerStep::decode(const Op& op) {
  const auto found = packed_.find(op.in[0].buffer);
  TORCH_CHECK_VALUE(found != packed_.end(), "expected a packed weight for '",
                    program_.buffers[static_cast<std::size_t>(op.in[0].buffer)].name,
                    "', found none: bind it");
  const PackedTensors& w = found->second;
  const Tensor out = of(op.out[0]);
  nf4::dequantize_cpu({.packed = w.packed.const_data_ptr<std::uint8_t>(),
                       .num_weights = out.numel(),
                       .absmax_codes = w.absmax_codes.const_data_ptr<std::uint8_t>(),
                       .nested_absmax = w.nested_absmax.const_data_ptr<float>(),
                       .nested_code = w.nested_code.const_data_ptr<float>(),
                       .nested_offset = w.nested_offset.const_data_ptr<float>()},
                      out.mutable_data_ptr(), scalar_type(compute_));
}

void EagerStep::run(const Op& op) {
  if (const auto found = instead_.find(op.kind); found != instead_.end())
    return found->second(op);
  const auto in = [&](std::size_t i) { return of(op.in[i]); };
  const auto out = [&](std::size_t i) { return of(op.out[i]); };
  const auto head_dim = [&] { return 2 * tensor("frequencies").numel(); };
  switch (op.kind) {
    case OpKind::kEmbed:
      out(0).copy_(at::embedding(in(1), in(0).view({-1})));
      return;
    case OpKind::kRmsNorm:
      return eager::rms_norm(in(0), in(1), program_.norm_epsilon, out(0), out(1));
    case OpKind::kAddRmsNorm:
      out(0).copy_(in(0).to(at::kFloat) + in(1).to(at::kFloat));
      return eager::rms_norm(out(0), in(2), program_.norm_epsilon, out(1), out(2));
    case OpKind::kDecode:
      return decode(op);
    case OpKind::kMatmul:
      return eager::multiply(op.transpose_a ? in(0).t() : in(0), op.transpose_b ? in(1).t() : in(1), out(0),
                             op.alpha, op.beta);
    case OpKind::kRope:
      return eager::rope(out(0), in(1), in(2).view({-1}), op.reversed);
    case OpKind::kAttention:
      return eager::attention({in(0), in(1), in(2), out(0), out(1), in(3)}, head_dim());
    case OpKind::kSwiglu:
      return eager::swiglu(in(0), in(1), out(0));
    case OpKind::kHeadLoss:
      return eager::head_loss(in(0), in(1), in(2), out(0), out(1));
    case OpKind::kRmsNormBackward:
      return eager::rms_norm_backward(in(0), in(1), in(2), in(3), op.in.size() > 4 ? in(4) : Tensor(),
                                      out(0));
    case OpKind::kSwigluBackward:
      return eager::swiglu_backward(in(0), in(1), in(2), out(0), out(1));
    case OpKind::kAttentionBackward:
      return eager::attention_backward({in(0), in(1), in(2), in(3), in(4), in(6)}, head_dim(), in(5), out(0),
                                       out(1), out(2));
    case OpKind::kSquareSum: {
      const Tensor sum = in(0).square().sum();
      out(0).copy_(op.beta == 0.0f ? sum : out(0).squeeze() + sum);
      return;
    }
    case OpKind::kAdamW:
      return eager::adamw(in(0), in(1), in(2), {out(0), out(1), out(2), out(3)});
  }
  TORCH_CHECK(false, "unknown operation ", static_cast<int>(op.kind));
}

}  // namespace assay::kernels::compile
