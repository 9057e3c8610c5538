// SPDX-License-Identifier: Apache-2.0
// The chain rule through the linear layer, chunk by chunk.
#include "reference/backprop/eager/oracle_torch.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace assay::reference::backprop::eager {
namespace {

using at::Tensor;

// 256 MiB a tensor of f64 logits: a formula holds about ten of them.
constexpr std::int64_t kLogitsOfAChunk = std::int64_t{1} << 25;

Tensor f64(const Tensor& t) {
  return t.defined() ? t.detach().to(at::kDouble) : t;
}

Head f64(const Head& head) {
  return {f64(head.weight), f64(head.bias), f64(head.lora_a), f64(head.lora_b), head.lora_scale};
}

Tensor zeros_like_f64(const Tensor& t) {
  return t.defined() ? at::zeros(t.sizes(), t.options().dtype(at::kDouble)) : t;
}

Tensor on_cpu(const Tensor& t) {
  return t.defined() ? t.cpu() : t;
}

std::int64_t rows_a_chunk(const Head& head) {
  return std::max<std::int64_t>(1, kLogitsOfAChunk / head.weight.size(0));
}

}  // namespace

Truth streamed(const Tensor& hidden, const Head& given, const Formula& formula, double upstream,
               bool want_weight) {
  const at::NoGradGuard no_gradient;
  const Head head = f64(given);
  Truth truth;
  Tensor value = at::zeros({}, hidden.options().dtype(at::kDouble));
  truth.hidden = zeros_like_f64(hidden);
  truth.weight = want_weight ? zeros_like_f64(given.weight) : Tensor();
  truth.bias = want_weight ? zeros_like_f64(given.bias) : Tensor();
  truth.lora_a = zeros_like_f64(given.lora_a);
  truth.lora_b = zeros_like_f64(given.lora_b);
  const std::int64_t step = rows_a_chunk(head);
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += step) {
    const std::int64_t rows = std::min(step, hidden.size(0) - begin);
    const Tensor x = f64(hidden.narrow(0, begin, rows));
    const ChunkOfLoss chunk = formula(logits(x, head), begin);
    value += chunk.value;
    const Tensor d = chunk.dlogits * upstream;
    Tensor dx = at::mm(d, head.weight);
    if (truth.weight.defined())
      truth.weight.addmm_(d.t(), x);
    if (truth.bias.defined())
      truth.bias += d.sum(0);
    if (head.lora_a.defined()) {
      const Tensor inner = at::mm(x, head.lora_a.t()), dinner = at::mm(d, head.lora_b) * head.lora_scale;
      truth.lora_b.addmm_(d.t(), inner, 1.0, head.lora_scale);
      truth.lora_a.addmm_(dinner.t(), x);
      dx.addmm_(dinner, head.lora_a);
    }
    truth.hidden.narrow(0, begin, rows).copy_(dx);
  }
  truth.value = value.item<double>();
  for (Tensor* t : {&truth.hidden, &truth.weight, &truth.bias, &truth.lora_a, &truth.lora_b}) *t = on_cpu(*t);
  return truth;
}

Tensor streamed_statistics(const Tensor& hidden, const Head& given, const Tensor& tokens,
                           const Transform& transform) {
  const at::NoGradGuard no_gradient;
  const Head head = f64(given);
  std::vector<Tensor> parts;
  const std::int64_t step = rows_a_chunk(head);
  for (std::int64_t begin = 0; begin < hidden.size(0); begin += step) {
    const std::int64_t rows = std::min(step, hidden.size(0) - begin);
    parts.push_back(
        token_statistics(f64(hidden.narrow(0, begin, rows)), head, tokens.narrow(0, begin, rows), transform)
            .cpu());
  }
  return at::cat(parts);
}

}  // namespace assay::reference::backprop::eager
