// SPDX-License-Identifier: Apache-2.0
#include "reference/backprop/eager/losses.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/kl_div.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace assay::reference::backprop::eager {
namespace {

using at::Tensor;

/// What `.float()` does, but f64 stays f64.
Tensor upcast(const Tensor& t) {
  return t.scalar_type() == at::kDouble ? t : t.to(at::kFloat);
}

Tensor transformed(const Tensor& x, const Transform& transform) {
  Tensor z = x;
  if (transform.softcap > 0)
    z = at::tanh(z / transform.softcap) * transform.softcap;
  return transform.temperature == 1.0 ? z : z / transform.temperature;
}

std::optional<Tensor> optional(const Tensor& t) {
  return t.defined() ? std::optional(t) : std::nullopt;
}

}  // namespace

Tensor logits(const Tensor& hidden, const Head& head) {
  Tensor x = at::linear(hidden, head.weight, optional(head.bias));
  if (head.lora_a.defined())
    x = x + at::linear(at::linear(hidden, head.lora_a), head.lora_b) * head.lora_scale;
  return upcast(x);
}

Tensor cross_entropy(const Tensor& hidden, const Head& head, const Tensor& labels,
                     const CrossEntropy& options) {
  const Tensor z = transformed(logits(hidden, head), options.transform);
  const Tensor counts = labels != options.ignore_index;
  Tensor divisor = counts.sum().to(z.scalar_type());
  if (options.class_weight.defined()) {
    const Tensor safe = at::where(counts, labels, at::zeros_like(labels));
    divisor = (options.class_weight.index_select(0, safe) * counts).sum();
  }
  Tensor sum = at::cross_entropy_loss(z, labels, optional(options.class_weight), at::Reduction::Sum,
                                      options.ignore_index, options.label_smoothing);
  if (options.z_loss > 0)
    sum = sum + options.z_loss * (at::logsumexp(z, 1).square() * counts).sum();
  return sum / at::where(divisor == 0, 1.0, divisor);
}

Tensor cross_entropy_soft(const Tensor& hidden, const Head& head, const Tensor& targets,
                          const CrossEntropy& options) {
  const Tensor z = transformed(logits(hidden, head), options.transform);
  Tensor mean = at::cross_entropy_loss(z, targets.to(z.scalar_type()), optional(options.class_weight),
                                       at::Reduction::Mean, -100, options.label_smoothing);
  if (options.z_loss > 0)
    mean = mean + options.z_loss * at::logsumexp(z, 1).square().mean();
  return mean;
}

Tensor token_statistics(const Tensor& hidden, const Head& head, const Tensor& tokens,
                        const Transform& transform) {
  const Tensor z = transformed(logits(hidden, head), transform);
  const Tensor log_p = at::log_softmax(z, 1);
  const Tensor logp = log_p.gather(1, tokens.clamp_min(0).unsqueeze(1)).squeeze(1);
  const Tensor entropy = -(log_p.exp() * log_p).sum(1);
  const Tensor statistics = at::stack({logp, entropy, at::logsumexp(z, 1)}, 1);
  return at::where((tokens >= 0).unsqueeze(1), statistics, at::zeros_like(statistics));
}

Tensor mean_squared_error(const Tensor& hidden, const Head& head, const Tensor& targets) {
  const Tensor x = logits(hidden, head);
  return at::mse_loss(x, targets.to(x.scalar_type()), at::Reduction::Mean);
}

Tensor distillation(const Tensor& hidden, const Head& head, const Teacher& teacher, double temperature,
                    double beta) {
  const Tensor p = at::log_softmax(logits(hidden, head) / temperature, 1);
  Tensor q;
  {
    const at::NoGradGuard no_gradient;
    q = at::log_softmax(logits(teacher.hidden, teacher.head) / temperature, 1);
  }
  const double scale = temperature * temperature / static_cast<double>(p.size(0));
  const auto kl = [&](const Tensor& of, const Tensor& from) {  // KL(of‖from)
    return at::kl_div(from, of, at::Reduction::Sum, /*log_target=*/true) * scale;
  };
  if (beta == 0.0)
    return kl(q, p);
  if (beta == 1.0)
    return kl(p, q);
  const Tensor mixture = at::logaddexp(q + std::log(beta), p + std::log(1.0 - beta));
  return kl(q, mixture) * beta + kl(p, mixture) * (1.0 - beta);
}

Tensor token_logp(const Tensor& hidden, const Head& head, const Tensor& tokens, const Transform& transform) {
  const Tensor log_p = at::log_softmax(transformed(logits(hidden, head), transform), 1);
  return log_p.gather(1, tokens.reshape({-1, 1})).view(tokens.sizes());
}

}  // namespace assay::reference::backprop::eager
