// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/losses.hpp"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <c10/util/Exception.h>

#include <cmath>
#include <limits>

#include "kernels/backprop/autograd/rows_that_count.hpp"
#include "kernels/backprop/autograd/transform.hpp"

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

std::optional<Tensor> maybe(const Tensor& t) {
  return t.defined() ? std::optional(t) : std::nullopt;
}

/// p·log p with 0 for p = 0, and no NaN in its derivative.
Tensor p_log_p(const Tensor& log_p) {
  return log_p.exp().mul(log_p.clamp_min(std::numeric_limits<float>::lowest()));
}

}  // namespace

Tensor transformed(const Tensor& logits, const LogitTransform& transform) {
  TORCH_CHECK_VALUE(transform.softcap >= 0.0 && transform.temperature > 0.0,
                    "expected softcap >= 0 and temperature > 0, found ", transform.softcap, " and ",
                    transform.temperature);
  Tensor z = logits;
  if (transform.softcap > 0.0)
    z = z.div(transform.softcap).tanh().mul(transform.softcap);
  return transform.temperature == 1.0 ? z : z.div(transform.temperature);
}

Tensor token_logprob(const Tensor& z, const Tensor& tokens) {
  return at::cross_entropy_loss(z, tokens, std::nullopt, at::Reduction::None, -1, 0.0).neg();
}

RowFunction cross_entropy_rows(const CrossEntropyOptions& loss) {
  return [loss](const Chunk& chunk) {
    const Tensor z = transformed(chunk.logits, loss.transform);
    const Tensor& rows = chunk.rows[0];
    const Tensor target = rows.is_floating_point() ? rows.to(z.scalar_type()) : rows;
    Tensor value = at::cross_entropy_loss(z, target, maybe(loss.class_weight), at::Reduction::None,
                                          loss.ignore_index, loss.label_smoothing);
    if (loss.z_loss != 0.0)
      value = value.add(at::logsumexp(z, 1).square(), loss.z_loss);
    return value;
  };
}

RowFunction token_statistics_rows(LogitTransform transform) {
  return [transform](const Chunk& chunk) {
    const Tensor z = transformed(chunk.logits, transform);
    const Tensor log_p = at::log_softmax(z, 1);
    const Tensor of_token = at::gather(log_p, 1, chunk.rows[0].clamp_min(0).unsqueeze(1)).squeeze(1);
    return at::stack({of_token, at::sum(p_log_p(log_p), 1).neg(), at::logsumexp(z, 1)}, 1);
  };
}

Tensor linear_cross_entropy(const Tensor& hidden, const LinearHead& head, const Tensor& labels,
                            const CrossEntropyOptions& loss, MemoryEfficientOptions options) {
  check_tokens(labels, hidden, "labels");
  count_labels(labels, loss, options);
  return memory_efficient_linear(hidden, head, cross_entropy_rows(loss), {labels}, {}, options);
}

Tensor linear_cross_entropy_soft(const Tensor& hidden, const LinearHead& head, const Tensor& targets,
                                 const CrossEntropyOptions& loss, MemoryEfficientOptions options) {
  return memory_efficient_linear(hidden, head, cross_entropy_rows(loss), {targets}, {}, options);
}

Tensor linear_token_logprob(const Tensor& hidden, const LinearHead& head, const Tensor& tokens,
                            LogitTransform transform, MemoryEfficientOptions options) {
  check_tokens(tokens, hidden, "tokens");
  options.reduction = Reduction::kRows;
  options.counts = both_count(options.counts, tokens.ge(0));
  const auto logprob = [transform](const Chunk& chunk) {
    return token_logprob(transformed(chunk.logits, transform), chunk.rows[0].clamp_min(0));
  };
  return memory_efficient_linear(hidden, head, logprob, {tokens}, {}, options);
}

Tensor linear_token_statistics(const Tensor& hidden, const LinearHead& head, const Tensor& tokens,
                               LogitTransform transform, MemoryEfficientOptions options) {
  check_tokens(tokens, hidden, "tokens");
  options.reduction = Reduction::kRows;
  options.counts = both_count(options.counts, tokens.ge(0));
  return memory_efficient_linear(hidden, head, token_statistics_rows(transform), {tokens}, {}, options);
}

Tensor linear_mse(const Tensor& hidden, const LinearHead& head, const Tensor& targets,
                  MemoryEfficientOptions options) {
  const auto squares = [](const Chunk& chunk) {
    return chunk.logits.sub(chunk.rows[0].to(chunk.logits.scalar_type())).square().mean(1);
  };
  return memory_efficient_linear(hidden, head, squares, {targets}, {}, options);
}

Tensor linear_distillation(const Tensor& hidden, const LinearHead& head, const Teacher& teacher,
                           const DistillationOptions& loss, MemoryEfficientOptions options) {
  TORCH_CHECK_VALUE(loss.beta >= 0.0 && loss.beta <= 1.0 && loss.temperature > 0.0,
                    "expected beta in [0, 1] and temperature > 0, found ", loss.beta, " and ",
                    loss.temperature);
  const auto divergence = [loss](const Chunk& chunk) {
    const Tensor student = at::log_softmax(chunk.logits.div(loss.temperature), 1);
    const Tensor teacher_log_p = at::log_softmax(chunk.teachers[0].div(loss.temperature), 1);
    const auto kl = [](const Tensor& from, const Tensor& to) {
      return at::sum(from.exp().mul(from.sub(to)), 1);
    };
    Tensor value;
    if (loss.beta == 0.0) {
      value = kl(teacher_log_p, student);
    } else if (loss.beta == 1.0) {
      value = kl(student, teacher_log_p);
    } else {
      const Tensor mixture =
          at::logaddexp(teacher_log_p.add(std::log(loss.beta)), student.add(std::log1p(-loss.beta)));
      value = kl(teacher_log_p, mixture).mul(loss.beta).add(kl(student, mixture), 1.0 - loss.beta);
    }
    return value.mul(loss.temperature * loss.temperature);
  };
  return memory_efficient_linear(hidden, head, divergence, {}, {teacher}, options);
}

}  // namespace assay::kernels::backprop
