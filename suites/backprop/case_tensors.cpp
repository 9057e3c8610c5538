// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/case_tensors.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/TensorOptions.h>
#include <torch/csrc/autograd/autograd.h>

#include <stdexcept>

namespace assay::suites::backprop {
namespace {

using at::Tensor;
using harness::Dtype;

at::ScalarType scalar_type(const harness::TensorView& view) {
  switch (view.dtype) {
    case Dtype::kFloat32:
      return at::kFloat;
    case Dtype::kFloat16:
      return at::kHalf;
    case Dtype::kBfloat16:
      return at::kBFloat16;
    case Dtype::kInt64:
      return at::kLong;
    case Dtype::kUint8:  // flags, but for packed weights
      return view.name == "packed" ? at::kByte : at::kBool;
    default:
      throw std::invalid_argument("backprop: no tensor type for " + view.name);
  }
}

}  // namespace

Tensor as_tensor(const harness::TensorView& view) {
  const auto device =
      view.device == harness::DeviceKind::kCuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  return at::from_blob(view.data, view.shape, at::TensorOptions().dtype(scalar_type(view)).device(device));
}

CaseTensors tensors_of(const BackpropCase& c, const harness::TensorSet& in) {
  const auto get = [&](const char* name) { return in.contains(name) ? as_tensor(in.at(name)) : Tensor(); };
  CaseTensors t;
  t.hidden = get("hidden"), t.weight = get("weight"), t.bias = get("bias");
  t.packed = get("packed"), t.absmax = get("absmax"), t.code = get("code");
  t.vocab = c.vocab;
  t.lora_a = get("lora_a"), t.lora_b = get("lora_b");
  t.upstream = get("upstream"), t.labels = get("labels"), t.targets = get("targets");
  t.class_weight = get("class_weight");
  t.teacher_hidden = get("teacher_hidden"), t.teacher_weight = get("teacher_weight");
  t.tokens = get("tokens"), t.mask = get("mask"), t.advantages = get("advantages");
  t.old_logp = get("old_logp"), t.reference_logp = get("reference_logp");
  t.desirable = get("desirable"), t.kl = get("kl");
  return t;
}

CaseTensors in_f64(const CaseTensors& from) {
  CaseTensors t = from;
  for (Tensor* each :
       {&t.hidden, &t.weight, &t.bias, &t.lora_a, &t.lora_b, &t.upstream, &t.targets, &t.class_weight,
        &t.teacher_hidden, &t.teacher_weight, &t.advantages, &t.old_logp, &t.reference_logp, &t.kl}) {
    if (each->defined())
      *each = each->to(at::kDouble);
  }
  return t;
}

std::vector<Tensor> CaseTensors::differentiated(const BackpropCase& c) const {
  std::vector<Tensor> out{hidden};
  if (!c.frozen)
    out.push_back(weight);
  if (c.bias && !c.frozen)
    out.push_back(bias);
  if (c.rank > 0)
    out.push_back(lora_a), out.push_back(lora_b);
  return out;
}

std::vector<Tensor> loss_and_gradients(const BackpropCase& c, CaseTensors t, const LossFunction& function) {
  const at::AutoGradMode differentiate(true);
  for (Tensor* each : {&t.hidden, &t.weight, &t.bias, &t.lora_a, &t.lora_b}) {
    const bool wanted = each->defined() && !(c.frozen && (each == &t.weight || each == &t.bias));
    if (each->defined())
      *each = each->detach().requires_grad_(wanted);
  }
  const Tensor loss = function(c, t);
  const Tensor upstream = t.upstream.to(loss.scalar_type()).view(loss.sizes());
  std::vector<Tensor> out = ::torch::autograd::grad({loss}, t.differentiated(c), {upstream});
  out.insert(out.begin(), loss.detach());
  return out;
}

}  // namespace assay::suites::backprop
