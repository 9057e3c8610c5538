// SPDX-License-Identifier: Apache-2.0
// The f64 oracle of large cases. Truth is kept on the CPU; the device's memory is given back before anything
// is measured.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDACachingAllocator.h>

#include "harness/device/device.hpp"
#include "harness/verify/lazy_oracle.hpp"
#include "reference/backprop/eager/oracle_torch.hpp"
#include "suites/backprop/case_tensors.hpp"
#include "suites/backprop/token_losses.hpp"

namespace assay::suites::backprop {
namespace {

namespace eager = reference::backprop::eager;
using at::Tensor;
using Values = std::map<std::string, Tensor, std::less<>>;  // f64, on the CPU

/// Where f64 products are fast: the GPU, if there is one and the case is worth the way there.
at::Device device_for(const BackpropCase& c) {
  constexpr std::int64_t kWorthTheWay = std::int64_t{1} << 30;
  const bool there = harness::cuda_available() && c.rows * c.hidden * c.vocab > kWorthTheWay;
  return there ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
}

CaseTensors moved(CaseTensors t, at::Device device) {
  for (Tensor* each :
       {&t.hidden, &t.weight, &t.bias, &t.lora_a, &t.lora_b, &t.upstream, &t.labels, &t.targets,
        &t.class_weight, &t.teacher_hidden, &t.teacher_weight, &t.tokens, &t.packed, &t.absmax, &t.code}) {
    if (each->defined())
      *each = each->to(device);
  }
  return t;
}

std::vector<double> first_column(const Tensor& statistics) {
  const Tensor column = statistics.select(1, 0).contiguous();
  return {column.data_ptr<double>(), column.data_ptr<double>() + column.numel()};
}

/// The formula of a loss of tokens: ∂loss/∂logp of every row, by the scalar reference, is the upstream
/// gradient of logp.
eager::Formula of_token_loss(const BackpropCase& c, const harness::TensorSet& in, const CaseTensors& t,
                             double& value) {
  const eager::Transform transform{c.softcap, c.temperature};
  const Tensor tokens = t.tokens.view({-1});
  const auto logp =
      first_column(eager::streamed_statistics(t.hidden, eager_head(t, at::kDouble), tokens, transform));
  std::vector<double> reference;
  if (c.has_teacher())
    reference = first_column(
        eager::streamed_statistics(t.teacher_hidden, {.weight = t.teacher_weight}, tokens, transform));
  const auto loss = token_loss(c, in, logp, reference);
  value = loss.value;
  Tensor upstream = at::zeros({c.rows, 3}, at::kDouble);
  upstream.select(1, 0).copy_(at::tensor(at::ArrayRef<double>(loss.dlogp), at::kDouble));
  return eager::token_statistics_formula(tokens, transform, upstream.to(t.hidden.device()));
}

Values truth_of(const BackpropCase& c, const harness::TensorSet& in) {
  const at::NoGradGuard no_gradient;
  const CaseTensors t = moved(tensors_of(c, in), device_for(c));
  const eager::Transform transform{c.softcap, c.temperature};
  const eager::CrossEntropy options{transform, kIgnoreIndex, c.label_smoothing, c.z_loss, t.class_weight};
  double upstream = *in.at("upstream").as<float>(), value = 0.0;
  eager::Formula formula;
  Values values;
  switch (c.loss) {
    case LossKind::kCrossEntropy:
      formula = c.soft_targets ? eager::cross_entropy_soft_formula(t.targets, options)
                               : eager::cross_entropy_formula(t.labels, options);
      break;
    case LossKind::kTokenLogprob:
      formula = eager::token_statistics_formula(t.labels, transform, t.upstream);
      values["loss"] = eager::streamed_statistics(t.hidden, eager_head(t, at::kDouble), t.labels, transform);
      upstream = 1.0;
      break;
    case LossKind::kMse:
      formula = eager::mean_squared_error_formula(t.targets);
      break;
    case LossKind::kDistillation:
      formula = eager::distillation_formula({t.teacher_hidden, {.weight = t.teacher_weight}}, c.temperature,
                                            c.beta);
      break;
    default:
      formula = of_token_loss(c, in, t, value);
  }
  eager::Truth truth = eager::streamed(t.hidden, eager_head(t, at::kDouble), formula, upstream, !c.frozen);
  if (!values.contains("loss"))
    values["loss"] = at::tensor(c.of_tokens() ? value : truth.value, at::kDouble).view({1});
  values["grad_hidden"] = truth.hidden, values["grad_weight"] = truth.weight,
  values["grad_bias"] = truth.bias;
  values["grad_lora_a"] = truth.lora_a, values["grad_lora_b"] = truth.lora_b;
  return values;
}

Values truth_leaving_no_memory(const BackpropCase& c, const harness::TensorSet& in) {
  Values values = truth_of(c, in);
  if (device_for(c).is_cuda())
    c10::cuda::CUDACachingAllocator::emptyCache();
  return values;
}

}  // namespace

harness::Oracle tensor_oracle(const BackpropCase& c, const harness::TensorSet& inputs) {
  return harness::lazy_oracle([c, &inputs] { return truth_leaving_no_memory(c, inputs); },
                              [](const Values& values, std::string_view output) {
                                const auto found = values.find(output);
                                return found == values.end() ? nullptr
                                                             : found->second.const_data_ptr<double>();
                              });
}

}  // namespace assay::suites::backprop
