// SPDX-License-Identifier: Apache-2.0
// The nine challenges as the harness sees them. Implementations register themselves, one file each.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "harness/core/registry.hpp"
#include "suites/backprop/checks.hpp"
#include "suites/backprop/suite.hpp"

namespace assay::suites::backprop {
namespace {

using harness::Case;
using harness::Dtype;

struct Word {
  const char *name, *about;
};

Word word_of(LossKind loss) {
  switch (loss) {
    case LossKind::kCrossEntropy:
      return {"cross_entropy", "last linear layer and cross entropy: loss and gradients"};
    case LossKind::kTokenLogprob:
      return {"token_logprob", "log-probability, entropy and log-sum-exp of every row, differentiable"};
    case LossKind::kMse:
      return {"mse", "squared error of the logits"};
    case LossKind::kDistillation:
      return {"distillation", "KL, reverse KL and Jensen-Shannon against a teacher head"};
    case LossKind::kGrpo:
      return {"grpo", "group-relative policy optimisation with a reference policy, clipping and masks"};
    case LossKind::kDpo:
      return {"dpo", "direct preference optimisation"};
    case LossKind::kOrpo:
      return {"orpo", "odds-ratio preference optimisation"};
    case LossKind::kSimpo:
      return {"simpo", "simple preference optimisation, without a reference"};
    case LossKind::kKto:
      return {"kto", "Kahneman-Tversky optimisation"};
  }
  throw std::invalid_argument("backprop: unknown loss");
}

/// Three products of the layer (two where it is frozen), one more for a teacher; every tensor read or written
/// once.
harness::Work work_of(const Case& which) {
  const BackpropCase& c = parameters_of(which);
  harness::Work work;
  for (const auto& specs : {inputs_of(c), outputs_of(c)}) {
    for (const harness::TensorSpec& spec : specs) {
      std::int64_t elements = 1;
      for (const std::int64_t extent : spec.shape) elements *= extent;
      work.bytes += elements * static_cast<std::int64_t>(harness::size_of(spec.dtype));
    }
  }
  const std::int64_t products = (c.frozen ? 2 : 3) + (c.has_teacher() ? 1 : 0);
  work.flops = 2 * products * c.rows * c.hidden * c.vocab;
  work.ceiling = c.dtype == Dtype::kFloat16 ? "matmul_f16_tflops" : "matmul_bf16_tflops";
  return work;
}

/// The loss is one number, a sum over all rows in which errors cancel, so the baseline's may be 0 by luck: a
/// floor of its own, 4e-6. Cross entropy from logits that were rounded to 16 bits, twice with an adapter, as
/// the plain version rounds them, is off by three deviations of the mean over half of the rows: 3 · √2 · (ulp
/// / 2) · 1.5 / √3 / √(N / 2), in units of 2⁻²¹, the last place of a loss of 4 to 8.
harness::ParityRule parity_of(const Case& which) {
  const BackpropCase& c = parameters_of(which);
  double floor = 32.0;
  if (c.loss == LossKind::kCrossEntropy && c.dtype != Dtype::kFloat32) {
    const double half_ulp = c.dtype == Dtype::kBfloat16 ? 0x1p-8 : 0x1p-11;
    floor =
        std::max(floor, 3.0 * 2.0 * half_ulp * 1.5 / std::sqrt(3.0 * static_cast<double>(c.rows)) * 0x1p21);
  }
  return {
      .exact = false, .k = 1.5, .floor_ulp = 0.25, .element_slack = 3.0, .floor_ulp_of = {{"loss", floor}}};
}

harness::Challenge make_challenge(LossKind loss) {
  harness::Challenge challenge;
  challenge.suite = "backprop";
  challenge.name = challenge_name(loss);
  challenge.about = word_of(loss).about;
  // k holds tile by tile and for the whole. Per element three times that: among 5e8 elements the largest
  // error of a tile is a matter of luck (in f32, of 1e4 elements, 1.5 was exceeded by one in about one output
  // of thirty).
  challenge.parity = {.exact = false, .k = 1.5, .floor_ulp = 0.25, .element_slack = 3.0};
  challenge.parity_of = parity_of;
  challenge.cases = cases_of(loss);
  challenge.make_inputs = make_inputs;
  challenge.outputs = [](const Case& which) { return outputs_of(parameters_of(which)); };
  challenge.oracle = oracle_of;
  challenge.work = work_of;
  challenge.checks = checks_of(loss);
  return challenge;
}

const bool kRegistered = [] {
  for (const LossKind loss : kLossKinds) {
    const harness::RegisterChallenge add([loss] { return make_challenge(loss); });
  }
  return true;
}();

}  // namespace

std::string challenge_name(LossKind loss) {
  return std::string("backprop/") + word_of(loss).name;
}

const BackpropCase& parameters_of(const Case& which) {
  return std::any_cast<const BackpropCase&>(which.parameters);
}

bool BackpropCase::of_tokens() const {
  return loss == LossKind::kGrpo || loss == LossKind::kDpo || loss == LossKind::kOrpo ||
         loss == LossKind::kSimpo || loss == LossKind::kKto;
}
bool BackpropCase::has_labels() const {
  return loss == LossKind::kTokenLogprob || (loss == LossKind::kCrossEntropy && !soft_targets);
}
bool BackpropCase::has_targets() const {
  return loss == LossKind::kMse || (loss == LossKind::kCrossEntropy && soft_targets);
}
bool BackpropCase::has_teacher() const {
  return loss == LossKind::kDistillation || (loss == LossKind::kGrpo && reference_head);
}

}  // namespace assay::suites::backprop
