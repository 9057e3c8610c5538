// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/memory_efficient_loss.hpp"

#include <stdexcept>

#include "kernels/backprop/autograd/preference_losses.hpp"

namespace assay::suites::backprop {
namespace {

namespace ours = kernels::backprop;
using at::Tensor;

ours::GrpoNormalization as_ours(Normalization normalization) {
  switch (normalization) {
    case Normalization::kToken:
      return ours::GrpoNormalization::kToken;
    case Normalization::kSequence:
      return ours::GrpoNormalization::kSequence;
    case Normalization::kDrGrpo:
      return ours::GrpoNormalization::kDrGrpo;
  }
  throw std::invalid_argument("backprop: unknown normalization");
}

ours::LinearHead frozen_head(const Tensor& weight) {
  ours::LinearHead head;
  head.weight = weight;
  return head;
}

Tensor cross_entropy(const BackpropCase& c, const CaseTensors& t,
                     const ours::MemoryEfficientOptions& options) {
  const ours::CrossEntropyOptions loss = cross_entropy_options(c, t);
  return c.soft_targets ? ours::linear_cross_entropy_soft(t.hidden, linear_head(t), t.targets, loss, options)
                        : ours::linear_cross_entropy(t.hidden, linear_head(t), t.labels, loss, options);
}

Tensor grpo(const BackpropCase& c, const CaseTensors& t, const Tensor& hidden,
            const ours::MemoryEfficientOptions& options) {
  ours::GrpoRows rows;
  rows.tokens = t.tokens, rows.mask = t.mask, rows.advantages = t.advantages;
  rows.old_logp = t.old_logp, rows.reference_logp = t.reference_logp;
  if (c.has_teacher())
    rows.reference = ours::Teacher{t.teacher_hidden, frozen_head(t.teacher_weight)};
  ours::GrpoOptions loss;
  loss.transform = {c.softcap, c.temperature};
  loss.clip_low = kClipLow, loss.clip_high = kClipHigh, loss.delta = c.delta;
  loss.kl_coefficient = kKlCoefficient;
  loss.normalization = as_ours(c.normalization);
  return ours::linear_grpo(hidden, linear_head(t), rows, loss, options);
}

}  // namespace

ours::CrossEntropyOptions cross_entropy_options(const BackpropCase& c, const CaseTensors& t) {
  ours::CrossEntropyOptions loss;
  loss.transform = {c.softcap, c.temperature};
  loss.ignore_index = kIgnoreIndex;
  loss.label_smoothing = c.label_smoothing;
  loss.z_loss = c.z_loss;
  loss.class_weight = t.class_weight;
  return loss;
}

ours::LinearHead linear_head(const CaseTensors& t) {
  ours::LinearHead head;
  head.weight = t.weight, head.bias = t.bias;
  if (t.packed.defined()) {
    ours::PackedWeight packed;
    packed.packed = t.packed, packed.absmax = t.absmax;
    packed.vocab = t.vocab, packed.hidden = t.hidden.size(1);
    head.packed = packed;
  }
  head.lora_a = t.lora_a, head.lora_b = t.lora_b;
  head.lora_scale = kLoraScale;
  return head;
}

std::vector<std::string> memory_efficient_sources(std::vector<std::string> more) {
  more.push_back("suites/backprop/memory_efficient_loss.cpp");
  more.push_back("kernels/backprop/chunk_plan.cpp");
  more.push_back("kernels/backprop/round_rows.cu");
  for (const char* file : {"matmul.cpp", "matmul_problem.cpp", "matmul_search.cpp"})
    more.push_back(std::string("kernels/common/") + file);
  for (const char* file :
       {"apply_chunked.hpp", "autograd_derivative.cpp", "chunk_derivative.hpp", "chunked_pass.cpp",
        "flat_rows.cpp", "free_memory.cpp", "grpo.cpp", "head_pass.cpp", "losses.cpp",
        "memory_efficient_linear.cpp", "packed_weight.cpp", "preference_losses.cpp", "products.cpp",
        "rounding.cpp", "row_selection.cpp", "rows_that_count.cpp",
        // GRPO's reference policy goes through the fast forward pass.
        "fused_derivative.cpp", "fused_derivative.hpp", "fused_losses.cpp"})
    more.push_back(std::string("kernels/backprop/autograd/") + file);
  for (const char* file :
       {"softmax_pass_statistics.cuh", "softmax_pass_check.cpp", "softmax_pass_cpu_types-inl.hpp",
        "softmax_pass.cu", "softmax_pass_config.cpp", "softmax_pass_cpu.cpp", "softmax_pass_cpu_row-inl.hpp",
        "softmax_pass_row.cuh", "softmax_pass_sweep.cuh", "softmax_pass_device.cuh",
        "cross_entropy_kernel.cuh", "token_statistics_kernel.cuh"})
    more.push_back(std::string("kernels/backprop/") + file);
  return more;
}

Tensor memory_efficient_loss(const BackpropCase& c, const CaseTensors& t, const ours::ChunkChoice& chunks) {
  ours::MemoryEfficientOptions options;
  options.chunks = chunks;
  const Tensor of_sequences = c.of_tokens() ? t.hidden.view({c.sequences, c.length(), c.hidden}) : Tensor();
  switch (c.loss) {
    case LossKind::kCrossEntropy:
      return cross_entropy(c, t, options);
    case LossKind::kTokenLogprob:
      return ours::linear_token_statistics(t.hidden, linear_head(t), t.labels, {c.softcap, c.temperature},
                                           options);
    case LossKind::kMse:
      return ours::linear_mse(t.hidden, linear_head(t), t.targets, options);
    case LossKind::kDistillation:
      return ours::linear_distillation(t.hidden, linear_head(t),
                                       {t.teacher_hidden, frozen_head(t.teacher_weight)},
                                       {c.temperature, c.beta}, options);
    case LossKind::kGrpo:
      return grpo(c, t, of_sequences, options);
    case LossKind::kDpo:
      return ours::linear_dpo(of_sequences, linear_head(t), {t.tokens, t.mask}, t.reference_logp,
                              {kDpoBeta, c.label_smoothing}, options);
    case LossKind::kOrpo:
      return ours::linear_orpo(of_sequences, linear_head(t), {t.tokens, t.mask}, {kOrpoLambda}, options);
    case LossKind::kSimpo:
      return ours::linear_simpo(of_sequences, linear_head(t), {t.tokens, t.mask},
                                {kSimpoBeta, kSimpoGammaRatio, c.label_smoothing}, options);
    case LossKind::kKto:
      return ours::linear_kto(of_sequences, linear_head(t),
                              {t.tokens, t.mask, t.desirable, t.reference_logp, t.kl.squeeze(0)},
                              {kKtoBeta, kKtoDesirable, kKtoUndesirable}, options);
  }
  throw std::invalid_argument("backprop: unknown loss");
}

}  // namespace assay::suites::backprop
