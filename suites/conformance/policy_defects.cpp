// SPDX-License-Identifier: Apache-2.0
// GRPO's means and its head, and distillation's logits.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <functional>

#include "reference/backprop/eager/losses.hpp"
#include "suites/conformance/defects.hpp"
#include "suites/conformance/last_layer.hpp"
#include "suites/conformance/paths.hpp"

namespace assay::suites::conformance {
namespace {

namespace ours = kernels::backprop;
namespace plain = reference::backprop::eager;
using at::Tensor;

// ---- GRPO

constexpr std::int64_t kSequences = 3, kLength = 6, kWidth = 8;

struct Step {
  LastLayer layer{kSequences * kLength, kWidth, 24, at::kFloat, /*adapted=*/true};
  ours::GrpoRows rows;
  ours::GrpoNormalization normalization = ours::GrpoNormalization::kToken;

  Step() {
    rows.tokens = layer.labels.view({kSequences, kLength});
    rows.mask = at::arange(kLength).unsqueeze(0).lt(at::tensor({6, 2, 4}).unsqueeze(1));
    rows.advantages = at::tensor({1.0f, -0.5f, 0.7f});
    rows.old_logp = at::randn({kSequences, kLength}, at::kFloat).mul(0.05).sub(3.0);
    rows.reference_logp = at::randn({kSequences, kLength}, at::kFloat).mul(0.05).sub(3.1);
  }
};

using Grpo = std::function<Tensor(const Step&)>;

Tensor grpo(const Step& step) {
  ours::GrpoOptions options;
  options.normalization = step.normalization;
  return ours::linear_grpo(step.layer.hidden.view({kSequences, kLength, kWidth}), step.layer.head(),
                           step.rows, options);
}
/// Tokens that do not count are left out of the sum alone.
Tensor grpo_over_all_tokens(const Step& step) {
  const double counted = step.rows.mask.sum().item<double>();
  return grpo(step).mul(counted / static_cast<double>(step.rows.mask.numel()));
}
Tensor grpo_over_the_batch(const Step& step) {
  Step other = step;
  other.normalization = ours::GrpoNormalization::kToken;
  return grpo(other);
}
Tensor grpo_of_the_base_head(const Step& step) {
  Step other = step;
  other.layer.lora_a.reset(), other.layer.lora_b.reset();
  return grpo(other);
}

/// Loss and all gradients against full logits in f64.
void check_grpo(const Grpo& loss, ours::GrpoNormalization normalization) {
  Step step;
  step.normalization = normalization;
  const LastLayer exact = step.layer.in_f64();
  const plain::Head head{exact.weight, {}, exact.lora_a, exact.lora_b, LastLayer::kLoraScale};
  plain::Grpo options;
  options.normalization = normalization == ours::GrpoNormalization::kToken ? plain::Normalization::kToken
                                                                           : plain::Normalization::kSequence;
  const auto wide = [](const Tensor& t) { return t.to(at::kDouble); };
  const Tensor truth = plain::grpo(plain::token_logp(exact.hidden, head, step.rows.tokens, {}),
                                   step.rows.mask, wide(step.rows.advantages), wide(step.rows.old_logp),
                                   wide(step.rows.reference_logp), options);
  demand_same(answer([&] { return loss(step); }), step.layer.tensors(), truth, exact.tensors(), 1e-4);
}

void mean_over_tokens_that_count(const Grpo& loss) {
  check_grpo(loss, ours::GrpoNormalization::kToken);
}
void mean_of_each_sequence_first(const Grpo& loss) {
  check_grpo(loss, ours::GrpoNormalization::kSequence);
}

// ---- Jensen-Shannon

struct Distillation {
  LastLayer student, teacher;
};
using Jsd = std::function<Tensor(const Distillation&)>;

Tensor jsd(const Distillation& d) {
  return ours::linear_distillation(d.student.hidden, d.student.head(), {d.teacher.hidden, d.teacher.head()},
                                   {.beta = 0.5}, {.chunks = {.rows = 16}});
}

Tensor plain_jsd(const Tensor& student, const Tensor& teacher) {
  const Tensor p = student.log_softmax(1), q = teacher.log_softmax(1);
  const Tensor m = at::logaddexp(p, q).sub(std::log(2.0));
  return q.exp().mul(q.sub(m)).add(p.exp().mul(p.sub(m))).mul(0.5).sum(1).mean();
}
/// Logits of f32 copies, rounded to `type` and widened again.
Tensor jsd_of_logits_in(at::ScalarType type, const Distillation& d) {
  const auto logits = [type](const LastLayer& layer) {
    return layer.hidden.to(at::kFloat).mm(layer.weight.to(at::kFloat).t()).to(type).to(at::kFloat);
  };
  return plain_jsd(logits(d.student), logits(d.teacher));
}
Tensor jsd_of_rounded_logits(const Distillation& d) {
  return jsd_of_logits_in(at::kBFloat16, d);
}
Tensor jsd_of_f32_logits(const Distillation& d) {
  return jsd_of_logits_in(at::kFloat, d);
}

/// Logits with a spread of about 30, a teacher not far from its student: bf16.
void logits_are_not_rounded(const Jsd& loss) {
  constexpr std::int64_t kRows = 32, kHidden = 256;
  Distillation d{{kRows, kHidden, 512, at::kBFloat16}, {kRows, kHidden, 512, at::kBFloat16}};
  d.student.weight = d.student.weight.detach().mul(6.0).requires_grad_(true);
  d.teacher.weight = d.student.weight.detach();
  d.teacher.set_hidden(d.student.hidden.detach().to(at::kDouble) +
                       at::randn({kRows, kHidden}, at::kDouble).mul(0.01));
  const Distillation exact{d.student.in_f64(), d.teacher.in_f64()};
  const Tensor truth = plain_jsd(exact.student.logits(), exact.teacher.logits());
  const Tensor found = answer([&] { return loss(d); });
  const auto gradient = gradients(found, {d.student.hidden}),
             wanted = gradients(truth, {exact.student.hidden});
  demand_error("dX of a Jensen-Shannon loss in bf16", relative_error(gradient.front(), wanted.front()), 0.02);
}

}  // namespace

std::vector<Defect> policy_defects() {
  return {
      defect({"huggingface/trl", 6369, "masked tokens stay in the number that GRPO's sum is divided by",
              kLinearLosses},
             grpo, grpo_over_all_tokens, mean_over_tokens_that_count),
      defect({"verl-project/verl", 593,
              "GRPO averages over all tokens where each sequence has a mean of its own", kLinearLosses},
             grpo, grpo_over_the_batch, mean_of_each_sequence_first),
      defect({"huggingface/trl", 4612, "the fused GRPO loss ignores an adapter on the head", kLinearLosses},
             grpo, grpo_of_the_base_head, mean_over_tokens_that_count),
      defect({"linkedin/Liger-Kernel", 1432, "distillation rounds logits to bf16 before it widens them",
              kLinearLosses},
             jsd, jsd_of_rounded_logits, logits_are_not_rounded, jsd_of_f32_logits)};
}

}  // namespace assay::suites::conformance
