// SPDX-License-Identifier: Apache-2.0
// The inner operators: schemas, kernels, fake kernels, and how a call travels through the dispatcher.
#include "kernels/torch/linear_loss_call.hpp"

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <memory>

#include "kernels/backprop/autograd/autograd_derivative.hpp"
#include "kernels/backprop/autograd/chunked_pass.hpp"
#include "kernels/backprop/autograd/fused_derivative.hpp"
#include "kernels/backprop/autograd/products.hpp"
#include "kernels/backprop/autograd/rounding.hpp"
#include "kernels/backprop/autograd/rows_that_count.hpp"
#include "kernels/torch/autograd_words.hpp"

namespace assay::kernels::torch {
namespace {

using at::Tensor;
using backprop::kTensors;
using backprop::Reduction;
using Tensors = std::vector<Tensor>;

// The dispatcher's argument list; LinearLossCall is the same by name.
Tensors inner(std::int64_t loss, const Tensor& hidden, const Tensor& weight, const Tensor& indices,
              const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
              const MaybeTensor& class_weight, const MaybeTensor& divisor, at::ArrayRef<double> numbers,
              at::IntArrayRef integers, std::array<bool, 5> wanted);
Tensors inner_backward(const Tensor& upstream, const Tensor& known, std::int64_t loss, const Tensor& hidden,
                       const Tensor& weight, const Tensor& indices, const MaybeTensor& bias,
                       const MaybeTensor& lora_a, const MaybeTensor& lora_b, const MaybeTensor& class_weight,
                       const MaybeTensor& divisor, at::ArrayRef<double> numbers, at::IntArrayRef integers,
                       std::array<bool, 5> wanted);

std::array<double, 5> numbers_of(const LinearLossCall& c) {
  return {c.lora_scale, c.label_smoothing, c.z_loss, c.transform.softcap, c.transform.temperature};
}
std::array<std::int64_t, 3> integers_of(const LinearLossCall& c) {
  return {static_cast<std::int64_t>(c.reduction), c.ignore_index, c.chunk_rows};
}

LinearLossCall call_of(std::int64_t loss, const Tensor& hidden, const Tensor& weight, const Tensor& indices,
                       const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
                       const MaybeTensor& class_weight, const MaybeTensor& divisor,
                       at::ArrayRef<double> numbers, at::IntArrayRef integers, std::array<bool, 5> wanted) {
  TORCH_CHECK_VALUE(numbers.size() == 5 && integers.size() == 3,
                    "assay._linear_loss is called by linear_cross_entropy and linear_logprob; call those");
  LinearLossCall c{
      .loss = static_cast<LinearLoss>(loss), .hidden = hidden, .weight = weight, .indices = indices};
  c.bias = bias;
  c.lora_a = lora_a;
  c.lora_b = lora_b;
  c.class_weight = class_weight;
  c.divisor = divisor;
  c.lora_scale = numbers[0];
  c.label_smoothing = numbers[1];
  c.z_loss = numbers[2];
  c.transform = {.softcap = numbers[3], .temperature = numbers[4]};
  c.reduction = static_cast<Reduction>(integers[0]);
  c.ignore_index = integers[1];
  c.chunk_rows = integers[2];
  c.wanted = wanted;
  return c;
}

backprop::LinearHead head_of(const LinearLossCall& c) {
  backprop::LinearHead head;
  head.weight = c.weight;
  head.bias = c.bias.value_or(Tensor());
  head.lora_a = c.lora_a.value_or(Tensor());
  head.lora_b = c.lora_b.value_or(Tensor());
  head.lora_scale = c.lora_scale;
  return head;
}

backprop::CrossEntropyOptions cross_entropy_of(const LinearLossCall& c) {
  return {.transform = c.transform,
          .ignore_index = c.ignore_index,
          .label_smoothing = c.label_smoothing,
          .z_loss = c.z_loss,
          .class_weight = c.class_weight.value_or(Tensor())};
}

/// f64 has no fused pass; there autograd differentiates.
std::shared_ptr<const backprop::ChunkDerivative> derivative_of(const LinearLossCall& c) {
  const bool exact = c.hidden.scalar_type() == at::kDouble;
  if (c.loss == LinearLoss::kCrossEntropy) {
    if (exact)
      return std::make_shared<const backprop::AutogradDerivative>(
          backprop::cross_entropy_rows(cross_entropy_of(c)), c.reduction == Reduction::kRows, 0);
    return std::make_shared<const backprop::FusedCrossEntropy>(cross_entropy_of(c));
  }
  if (exact)
    return std::make_shared<const backprop::AutogradDerivative>(backprop::token_statistics_rows(c.transform),
                                                                true, 0);
  return std::make_shared<const backprop::FusedTokenStatistics>(c.transform);
}

backprop::ChunkedCall chunked(const LinearLossCall& c) {
  backprop::MemoryEfficientOptions options{.reduction = c.reduction};
  if (c.chunk_rows > 0)
    options.chunks.rows = c.chunk_rows;
  options.divisor = c.divisor.value_or(Tensor());
  backprop::check_tokens(c.indices, c.hidden, c.loss == LinearLoss::kCrossEntropy ? "labels" : "tokens");
  if (c.loss == LinearLoss::kCrossEntropy) {
    backprop::count_labels(c.indices, cross_entropy_of(c), options);
  } else {
    options.counts = backprop::both_count({}, c.indices.ge(0));
  }
  const backprop::Wanted wanted{c.wanted[0], c.wanted[1], c.wanted[2], c.wanted[3], c.wanted[4]};
  return {c.hidden, head_of(c), derivative_of(c), {c.indices}, {}, options, wanted};
}

Tensors inner(std::int64_t loss, const Tensor& hidden, const Tensor& weight, const Tensor& indices,
              const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
              const MaybeTensor& class_weight, const MaybeTensor& divisor, at::ArrayRef<double> numbers,
              at::IntArrayRef integers, std::array<bool, 5> wanted) {
  const LinearLossCall c = call_of(loss, hidden, weight, indices, bias, lora_a, lora_b, class_weight, divisor,
                                   numbers, integers, wanted);
  const backprop::ChunkedCall call = chunked(c);
  const auto tensors = c.tensors();
  if (c.reduction == Reduction::kRows)
    return {call.values(tensors)};
  const backprop::PassResult result = call.sum_with_gradients(tensors);
  Tensors out{result.value, result.undo};
  for (const Tensor& sum : result.sums) out.push_back(or_empty(sum, result.undo));
  return out;
}

Tensors inner_backward(const Tensor& upstream, const Tensor& known, std::int64_t loss, const Tensor& hidden,
                       const Tensor& weight, const Tensor& indices, const MaybeTensor& bias,
                       const MaybeTensor& lora_a, const MaybeTensor& lora_b, const MaybeTensor& class_weight,
                       const MaybeTensor& divisor, at::ArrayRef<double> numbers, at::IntArrayRef integers,
                       std::array<bool, 5> wanted) {
  const LinearLossCall c = call_of(loss, hidden, weight, indices, bias, lora_a, lora_b, class_weight, divisor,
                                   numbers, integers, wanted);
  const backprop::ChunkedCall call = chunked(c);
  const backprop::PassResult result = call.gradients_of_values(c.tensors(), upstream, known);
  Tensors out;
  for (std::size_t i = 0; i < kTensors; ++i)
    out.push_back(or_empty(call.layout().finished(result.sums[i], i, result.undo), hidden));
  return out;
}

Tensor scaled_kernel(const Tensor& sum, const Tensor& factor, at::ScalarType dtype) {
  return backprop::scaled(sum, factor, dtype);
}

Tensors fake_inner(std::int64_t loss, const Tensor& hidden, const Tensor& weight, const Tensor& indices,
                   const MaybeTensor& bias, const MaybeTensor& lora_a, const MaybeTensor& lora_b,
                   const MaybeTensor& class_weight, const MaybeTensor& divisor, at::ArrayRef<double> numbers,
                   at::IntArrayRef integers, std::array<bool, 5> wanted) {
  const LinearLossCall c = call_of(loss, hidden, weight, indices, bias, lora_a, lora_b, class_weight, divisor,
                                   numbers, integers, wanted);
  const auto sums = hidden.options().dtype(backprop::accumulation_type(hidden.scalar_type()));
  if (c.reduction == Reduction::kRows) {
    std::vector<c10::SymInt> shape = indices.sym_sizes().vec();
    if (c.loss == LinearLoss::kTokenStatistics)
      shape.emplace_back(3);
    return {at::empty_symint(shape, sums)};
  }
  Tensors out{at::empty({}, sums), at::empty({}, sums)};
  const auto tensors = c.tensors();
  for (std::size_t i = 0; i < kTensors; ++i) {
    if (!c.wanted[i]) {
      out.push_back(at::empty({0}, sums));
    } else if (i == 0) {
      // As the fused passes keep it; f64, which has none, waits in its own type too.
      out.push_back(at::empty_symint({indices.sym_numel(), hidden.sym_size(-1)}, hidden.options()));
    } else {
      out.push_back(at::empty_symint(tensors[i].sym_sizes(), sums));
    }
  }
  return out;
}

Tensors fake_inner_backward(const Tensor&, const Tensor&, std::int64_t, const Tensor& hidden,
                            const Tensor& weight, const Tensor&, const MaybeTensor& bias,
                            const MaybeTensor& lora_a, const MaybeTensor& lora_b, const MaybeTensor&,
                            const MaybeTensor&, at::ArrayRef<double>, at::IntArrayRef,
                            std::array<bool, 5> wanted) {
  const Tensor none;
  const Tensor* tensors[kTensors] = {&hidden, &weight, bias ? &*bias : &none, lora_a ? &*lora_a : &none,
                                     lora_b ? &*lora_b : &none};
  Tensors out;
  for (std::size_t i = 0; i < kTensors; ++i)
    out.push_back(wanted[i] ? at::empty_symint(tensors[i]->sym_sizes(), tensors[i]->options())
                            : at::empty({0}, hidden.options()));
  return out;
}

Tensor fake_scaled(const Tensor& sum, const Tensor&, at::ScalarType dtype) {
  return at::empty_symint(sum.sym_sizes(), sum.options().dtype(dtype));
}

}  // namespace

std::array<Tensor, 5> LinearLossCall::tensors() const {
  return {hidden, weight, bias.value_or(Tensor()), lora_a.value_or(Tensor()), lora_b.value_or(Tensor())};
}

Tensors LinearLossCall::run() const {
  static const auto op = operator_named<decltype(inner)>("assay::_linear_loss");
  return op.call(static_cast<std::int64_t>(loss), hidden, weight, indices, bias, lora_a, lora_b, class_weight,
                 divisor, numbers_of(*this), integers_of(*this), wanted);
}

Tensors LinearLossCall::run_backward(const Tensor& upstream, const Tensor& known) const {
  static const auto op = operator_named<decltype(inner_backward)>("assay::_linear_loss_backward");
  return op.call(upstream, known, static_cast<std::int64_t>(loss), hidden, weight, indices, bias, lora_a,
                 lora_b, class_weight, divisor, numbers_of(*this), integers_of(*this), wanted);
}

Tensor scaled(const Tensor& sum, const Tensor& factor, at::ScalarType dtype) {
  static const auto op = operator_named<decltype(scaled_kernel)>("assay::_scaled");
  return op.call(sum, factor, dtype);
}

}  // namespace assay::kernels::torch

TORCH_LIBRARY_FRAGMENT(assay, m) {
  const std::vector<at::Tag> tags{at::Tag::pt2_compliant_tag};
  m.def(
      "_linear_loss(int loss, Tensor hidden, Tensor weight, Tensor indices, Tensor? bias, Tensor? lora_a, "
      "Tensor? lora_b, Tensor? class_weight, Tensor? divisor, float[] numbers, int[] integers, bool[5] "
      "wanted) -> "
      "Tensor[]",
      tags);
  m.def(
      "_linear_loss_backward(Tensor upstream, Tensor known, int loss, Tensor hidden, Tensor weight, Tensor "
      "indices, "
      "Tensor? bias, Tensor? lora_a, Tensor? lora_b, Tensor? class_weight, Tensor? divisor, float[] numbers, "
      "int[] integers, bool[5] wanted) -> Tensor[]",
      tags);
  m.def("_scaled(Tensor sum, Tensor factor, ScalarType dtype) -> Tensor", tags);
}

TORCH_LIBRARY_IMPL(assay, CompositeExplicitAutograd, m) {
  m.impl("_linear_loss", assay::kernels::torch::inner);
  m.impl("_linear_loss_backward", assay::kernels::torch::inner_backward);
  m.impl("_scaled", assay::kernels::torch::scaled_kernel);
}

TORCH_LIBRARY_IMPL(assay, Meta, m) {
  m.impl("_linear_loss", assay::kernels::torch::fake_inner);
  m.impl("_linear_loss_backward", assay::kernels::torch::fake_inner_backward);
  m.impl("_scaled", assay::kernels::torch::fake_scaled);
}
