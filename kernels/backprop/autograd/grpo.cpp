// SPDX-License-Identifier: Apache-2.0
// Group-relative policy optimisation: per token, so that forward of a chunk has all it needs for the
// gradients.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/sum.h>
#include <c10/util/Exception.h>

#include "kernels/backprop/autograd/flat_rows.hpp"
#include "kernels/backprop/autograd/fused_losses.hpp"
#include "kernels/backprop/autograd/head_pass.hpp"
#include "kernels/backprop/autograd/losses.hpp"
#include "kernels/backprop/autograd/transform.hpp"

namespace assay::kernels::backprop {
namespace {

using at::Tensor;

/// A reference over another vocabulary, or of another number of rows, would give log-probabilities of
/// something else.
void check_reference(const Tensor& hidden, const LinearHead& head, const Teacher& reference) {
  const Tensor rows = flat_hidden(hidden), of_reference = flat_hidden(reference.hidden);
  TORCH_CHECK_VALUE(of_reference.size(0) == rows.size(0) && of_reference.device() == rows.device(),
                    "expected a reference with ", rows.size(0), " rows on ", rows.device(), ", found ",
                    of_reference.size(0), " on ", of_reference.device());
  const std::int64_t vocab = check_head(rows, head), found = check_head(of_reference, reference.head);
  TORCH_CHECK_VALUE(found == vocab, "expected a reference with the policy's vocabulary of ", vocab,
                    ", found ", found);
}

void check_rows(const Tensor& hidden, const GrpoRows& rows) {
  TORCH_CHECK_VALUE(hidden.dim() == 3, "expected hidden states [B, T, H], found ", hidden.sizes());
  const auto sequence = hidden.sizes().slice(0, 2);
  TORCH_CHECK_VALUE(rows.tokens.scalar_type() == at::kLong && rows.tokens.sizes() == sequence,
                    "expected tokens as int64 ", sequence, ", found ", rows.tokens.scalar_type(), " ",
                    rows.tokens.sizes());
  TORCH_CHECK_VALUE(rows.mask.scalar_type() == at::kBool && rows.mask.sizes() == sequence,
                    "expected mask as bool ", sequence, ", found ", rows.mask.scalar_type(), " ",
                    rows.mask.sizes());
  TORCH_CHECK_VALUE(rows.advantages.sizes() == hidden.sizes().slice(0, 1),
                    "expected one advantage for each of ", hidden.size(0), " completions, found ",
                    rows.advantages.sizes());
  TORCH_CHECK_VALUE(!(rows.reference_logp.defined() && rows.reference),
                    "expected reference log-probabilities or a reference to stream, found both");
  for (const Tensor* t : {&rows.old_logp, &rows.reference_logp}) {
    TORCH_CHECK_VALUE(!t->defined() || t->sizes() == sequence, "expected log-probabilities ", sequence,
                      ", found ", t->defined() ? t->sizes() : at::IntArrayRef());
  }
}

/// Weight of each token in the loss, [B, T] f32, 0 where masked.
Tensor token_weights(const Tensor& mask, const GrpoOptions& loss, at::ScalarType type) {
  const Tensor counted = mask.to(type);
  const auto sequences = static_cast<double>(mask.size(0));
  switch (loss.normalization) {
    case GrpoNormalization::kToken:
      return counted.div(at::sum(counted).clamp_min(1.0));
    case GrpoNormalization::kSequence:
      return counted.div(at::sum(counted, {1}, true).clamp_min(1.0)).div(sequences);
    case GrpoNormalization::kDrGrpo:
      return counted.div(sequences *
                         static_cast<double>(loss.max_length > 0 ? loss.max_length : mask.size(1)));
  }
  TORCH_CHECK_VALUE(false, "unknown GRPO normalisation");
}

/// −min(ratio·A, clip(ratio)·A), the unclipped ratio bounded by delta.
Tensor policy_term(const Tensor& logp, const Tensor& old_logp, const Tensor& advantage,
                   const GrpoOptions& loss) {
  const Tensor ratio = at::exp(logp.sub(old_logp));
  const Tensor clipped = ratio.clamp(1.0 - loss.clip_low, 1.0 + loss.clip_high);
  const Tensor free = loss.delta > 0.0 ? ratio.clamp_max(loss.delta) : ratio;
  return at::maximum(free.mul(advantage).neg(), clipped.mul(advantage).neg());
}

/// exp(ref − new) − (ref − new) − 1 ≥ 0, Schulman's low-variance estimate of KL(new‖ref).
Tensor kl_term(const Tensor& logp, const Tensor& reference) {
  const Tensor gap = reference.sub(logp);
  return at::exp(gap).sub(gap).sub(1.0);
}

/// Where each optional row argument of a chunk lies.
struct Places {
  bool old = false, reference = false;
};

/// The reference policy's log-probabilities [B, T]: no gradient flows into them, so the fast path makes them
/// before the loop, in one read of 16-bit logits. What the policy's own logits go through is the loop's
/// alone.
Tensor streamed_logp(const Teacher& reference, const Tensor& tokens, const GrpoOptions& loss,
                     const MemoryEfficientOptions& options) {
  const at::NoGradGuard no_gradient;
  MemoryEfficientOptions streamed;
  streamed.chunks = options.chunks;
  const Tensor hidden = reference.hidden.detach();
  const Tensor flat = tokens.reshape({-1}), rows = hidden.reshape({-1, hidden.size(-1)});
  const Tensor logp =
      hidden.scalar_type() == at::kDouble
          ? linear_token_logprob(rows, reference.head, flat, loss.transform, streamed)
          : fused_linear_token_statistics(rows, reference.head, flat, loss.transform, streamed).select(1, 0);
  return logp.reshape(tokens.sizes()).contiguous();
}

}  // namespace

Tensor linear_grpo(const Tensor& hidden, const LinearHead& head, const GrpoRows& rows,
                   const GrpoOptions& loss, MemoryEfficientOptions options) {
  check_rows(hidden, rows);
  if (rows.reference)
    check_reference(hidden, head, *rows.reference);
  const at::ScalarType type = hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const Tensor advantages = rows.advantages.to(type).unsqueeze(1).expand(rows.mask.sizes());
  std::vector<Tensor> arguments{rows.tokens.masked_fill(rows.mask.logical_not(), 0), advantages.contiguous(),
                                token_weights(rows.mask, loss, type)};
  const bool penalised = loss.kl_coefficient != 0.0;
  const Places has{rows.old_logp.defined(), penalised && (rows.reference_logp.defined() || rows.reference)};
  if (has.old)
    arguments.push_back(rows.old_logp.detach());
  if (has.reference)
    arguments.push_back(rows.reference ? streamed_logp(*rows.reference, arguments[0], loss, options)
                                       : rows.reference_logp.detach());

  const auto token_loss = [loss, has](const Chunk& chunk) {
    const Tensor& tokens = chunk.rows[0];
    const Tensor logp = token_logprob(transformed(chunk.logits, loss.transform), tokens);
    Tensor value = policy_term(logp, has.old ? chunk.rows[3] : logp.detach(), chunk.rows[1], loss);
    if (has.reference)
      value = value.add(kl_term(logp, chunk.rows.back()), loss.kl_coefficient);
    return value.mul(chunk.rows[2]);
  };
  options.reduction = Reduction::kSum;
  const Tensor counted = rows.mask.reshape({-1});
  options.counts = options.counts.defined() ? options.counts.logical_and(counted) : counted;
  if (options.gradient_scale == 0.0 && hidden.scalar_type() == at::kHalf)  // the weights are about 1 / tokens
    options.gradient_scale = 256.0 * static_cast<double>(std::max<std::int64_t>(rows.mask.numel(), 1));
  return memory_efficient_linear(hidden, head, token_loss, arguments, {}, options);
}

}  // namespace assay::kernels::backprop
