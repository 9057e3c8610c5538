// SPDX-License-Identifier: Apache-2.0
#include "suites/conformance/last_layer.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include "suites/conformance/defect.hpp"
#include "suites/conformance/text.hpp"

namespace assay::suites::conformance {

using at::Tensor;

LastLayer::LastLayer(std::int64_t rows, std::int64_t width, std::int64_t vocab, at::ScalarType type,
                     bool adapted) {
  at::manual_seed(11);
  const auto random = [type](at::IntArrayRef shape, double spread) {
    return at::randn(shape, at::kDouble).mul(spread).to(type).requires_grad_(true);
  };
  hidden = random({rows, width}, 1.0);
  weight = random({vocab, width}, 0.3);
  if (adapted)
    lora_a = random({3, width}, 0.3), lora_b = random({vocab, 3}, 0.3);
  labels = at::randint(vocab, {rows}, at::kLong);
}

LastLayer LastLayer::in_f64() const {
  LastLayer out = *this;
  for (Tensor* t : {&out.hidden, &out.weight, &out.lora_a, &out.lora_b})
    if (t->defined())
      *t = t->detach().to(at::kDouble).requires_grad_(true);
  return out;
}

void LastLayer::set_hidden(const Tensor& values) {
  hidden = values.detach().to(hidden.scalar_type()).requires_grad_(true);
}

kernels::backprop::LinearHead LastLayer::head() const {
  kernels::backprop::LinearHead out;
  out.weight = weight;
  out.lora_a = lora_a, out.lora_b = lora_b;
  out.lora_scale = kLoraScale;
  return out;
}

std::vector<Tensor> LastLayer::tensors() const {
  std::vector<Tensor> out = {hidden, weight};
  if (lora_a.defined())
    out.insert(out.end(), {lora_a, lora_b});
  return out;
}

Tensor LastLayer::logits() const {
  const Tensor base = hidden.mm(weight.t());
  return lora_a.defined() ? base.add(hidden.mm(lora_a.t()).mm(lora_b.t()), kLoraScale) : base;
}

std::vector<Tensor> gradients(const Tensor& loss, const std::vector<Tensor>& of, const Tensor& upstream) {
  std::vector<Tensor> seeds;
  if (upstream.defined())
    seeds.push_back(upstream);
  auto out = ::torch::autograd::grad({loss}, of, seeds, /*retain_graph=*/true, /*create_graph=*/false,
                                     /*allow_unused=*/true);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!out[i].defined())
      out[i] = at::zeros_like(of[i]);
  return out;
}

double relative_error(const Tensor& found, const Tensor& truth) {
  const Tensor f = found.detach().to(at::kDouble), t = truth.detach().to(at::kDouble);
  return f.sub(t).norm().item<double>() / t.norm().item<double>();
}

void demand_same(const Tensor& loss, const std::vector<Tensor>& of, const Tensor& truth,
                 const std::vector<Tensor>& of_truth, double limit) {
  demand_error("the loss", relative_error(loss, truth), limit);
  const auto found = gradients(loss, of), wanted = gradients(truth, of_truth);
  for (std::size_t i = 0; i < found.size(); ++i)
    demand_error(text("gradient ", i), relative_error(found[i], wanted[i]), limit);
}

}  // namespace assay::suites::conformance
