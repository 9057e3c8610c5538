// SPDX-License-Identifier: Apache-2.0
#include "suites/backprop/suite.hpp"
#include "suites/backprop/text.hpp"

namespace assay::suites::backprop {
namespace {

using harness::Case;
using harness::DeviceKind;
using harness::Dtype;

/// Axes as DESIGN orders them: n, h, v, dtype, dw or frozen, then what else is not the default.
std::string axes(const BackpropCase& c) {
  std::string name = text("n", c.rows, "/h", c.hidden, "/v", c.vocab, "/", harness::name_of(c.dtype),
                          c.frozen ? "/frozen" : "/dw");
  const auto add = [&](bool present, const std::string& axis) {
    if (present)
      name += "/" + axis;
  };
  add(c.of_tokens(), text("b", c.sequences));
  add(c.nf4, "nf4");
  add(c.bias, "bias");
  add(c.rank > 0, text("lora", c.rank));
  add(c.ignored == Ignored::kSome, "ignored");
  add(c.ignored == Ignored::kAll, "all_ignored");
  add(c.softcap > 0, text("softcap", c.softcap));
  add(c.temperature != 1.0, text("temperature", c.temperature));
  add(c.label_smoothing > 0, text("smoothing", c.label_smoothing));
  add(c.z_loss > 0, text("zloss", c.z_loss));
  add(c.class_weights, "class_weights");
  add(c.soft_targets, "soft");
  add(c.loss == LossKind::kDistillation, text("beta", c.beta));
  if (c.loss == LossKind::kGrpo) {
    add(c.normalization == Normalization::kToken, "token");
    add(c.normalization == Normalization::kDrGrpo, "dr_grpo");
    add(c.delta > 0, text("delta", c.delta));
    add(!c.old_logp, "on_policy");
    add(c.reference_head, "reference");
    add(c.reference_logp, "reference_logp");
  }
  return name;
}

/// Small, and odd in every extent: no chunk of 64 rows divides N, no tile V or H.
Case quick(LossKind loss, Dtype dtype, BackpropCase c = {}) {
  c.loss = loss;
  c.rows = 150, c.hidden = 40, c.vocab = 203;
  c.dtype = dtype;
  if (c.of_tokens())
    c.sequences = 6;
  Case out;
  out.name = axes(c);
  out.parameters = c;
  out.seed = 11;
  out.quick = true;
  out.measured = false;
  return out;
}

Case measured(DeviceKind device, BackpropCase c) {
  Case out;
  out.name = axes(c);
  out.parameters = c;
  out.seed = 3407;
  out.devices = {device};
  return out;
}

std::vector<Case> cross_entropy_cases() {
  constexpr auto kLoss = LossKind::kCrossEntropy;
  std::vector<Case> cases;
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
    cases.push_back(quick(kLoss, dtype, {.ignored = Ignored::kSome}));
    cases.push_back(quick(kLoss, dtype, {.frozen = true, .ignored = Ignored::kSome}));
    cases.push_back(quick(kLoss, dtype, {.bias = true, .rank = 5, .ignored = Ignored::kSome}));
  }
  cases.push_back(quick(kLoss, Dtype::kFloat32, {.frozen = true, .rank = 5}));
  cases.push_back(quick(kLoss, Dtype::kFloat32, {.ignored = Ignored::kAll}));
  cases.push_back(quick(kLoss, Dtype::kFloat32, {.ignored = Ignored::kSome, .label_smoothing = 0.1}));
  cases.push_back(quick(kLoss, Dtype::kBfloat16, {.ignored = Ignored::kSome, .z_loss = 0.01}));
  cases.push_back(quick(kLoss, Dtype::kBfloat16, {.softcap = 2.5, .temperature = 0.7}));
  cases.push_back(quick(kLoss, Dtype::kFloat32, {.ignored = Ignored::kSome, .class_weights = true}));
  cases.push_back(quick(kLoss, Dtype::kBfloat16,
                        {.bias = true,
                         .ignored = Ignored::kSome,
                         .softcap = 3.0,
                         .temperature = 1.3,
                         .label_smoothing = 0.2,
                         .z_loss = 0.02,
                         .class_weights = true}));
  cases.push_back(
      quick(kLoss, Dtype::kFloat32,
            {.label_smoothing = 0.1, .z_loss = 0.02, .class_weights = true, .soft_targets = true}));
  cases.push_back(quick(kLoss, Dtype::kBfloat16, {.soft_targets = true}));
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16})
    cases.push_back(quick(kLoss, dtype, {.frozen = true, .nf4 = true, .rank = 5, .ignored = Ignored::kSome}));
  for (const bool frozen : {false, true}) {
    cases.push_back(
        measured(DeviceKind::kCpu,
                 {.rows = 768, .hidden = 256, .vocab = 8192, .dtype = Dtype::kFloat32, .frozen = frozen}));
    cases.push_back(
        measured(DeviceKind::kCuda, {.rows = 16384, .hidden = 4096, .vocab = 128256, .frozen = frozen}));
    cases.push_back(
        measured(DeviceKind::kCuda, {.rows = 8192, .hidden = 2048, .vocab = 128256, .frozen = frozen}));
  }
  cases.push_back(
      measured(DeviceKind::kCuda, {.rows = 8192, .hidden = 2048, .vocab = 128256, .dtype = Dtype::kFloat16}));
  return cases;
}

std::vector<Case> token_logprob_cases() {
  constexpr auto kLoss = LossKind::kTokenLogprob;
  std::vector<Case> cases;
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
    cases.push_back(quick(kLoss, dtype, {.ignored = Ignored::kSome}));
  }
  cases.push_back(
      quick(kLoss, Dtype::kFloat32, {.frozen = true, .rank = 5, .softcap = 2.5, .temperature = 0.7}));
  cases.push_back(
      measured(DeviceKind::kCuda, {.loss = kLoss, .rows = 8192, .hidden = 2048, .vocab = 128256}));
  return cases;
}

std::vector<Case> mse_cases() {
  constexpr auto kLoss = LossKind::kMse;
  return {quick(kLoss, Dtype::kFloat32, {.bias = true}), quick(kLoss, Dtype::kBfloat16),
          quick(kLoss, Dtype::kFloat16, {.frozen = true}),
          measured(DeviceKind::kCuda, {.loss = kLoss, .rows = 8192, .hidden = 2048, .vocab = 32000})};
}

std::vector<Case> distillation_cases() {
  constexpr auto kLoss = LossKind::kDistillation;
  std::vector<Case> cases;
  for (const double beta : {0.0, 0.5, 1.0}) {
    cases.push_back(quick(kLoss, Dtype::kFloat32, {.beta = beta}));
    cases.push_back(quick(kLoss, Dtype::kBfloat16, {.temperature = 2.0, .beta = beta}));
  }
  cases.push_back(quick(kLoss, Dtype::kFloat16, {.frozen = true, .rank = 5, .beta = 0.3}));
  cases.push_back(measured(DeviceKind::kCuda,
                           {.loss = kLoss, .rows = 8192, .hidden = 2048, .vocab = 128256, .beta = 0.5}));
  return cases;
}

std::vector<Case> grpo_cases() {
  constexpr auto kLoss = LossKind::kGrpo;
  constexpr auto kSome = Ignored::kSome;
  std::vector<Case> cases;
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
    cases.push_back(quick(kLoss, dtype, {.ignored = kSome, .delta = 1.5, .reference_head = true}));
    cases.push_back(quick(
        kLoss, dtype, {.ignored = kSome, .normalization = Normalization::kToken, .reference_logp = true}));
  }
  cases.push_back(quick(kLoss, Dtype::kFloat32,
                        {.frozen = true,
                         .rank = 5,
                         .ignored = kSome,
                         .temperature = 0.8,
                         .normalization = Normalization::kDrGrpo,
                         .reference_head = true}));
  cases.push_back(quick(kLoss, Dtype::kFloat32, {.ignored = kSome, .old_logp = false}));
  cases.push_back(quick(kLoss, Dtype::kFloat32, {.ignored = Ignored::kAll, .reference_head = true}));
  cases.push_back(measured(DeviceKind::kCpu, {.loss = kLoss,
                                              .rows = 512,
                                              .hidden = 256,
                                              .vocab = 8192,
                                              .sequences = 4,
                                              .dtype = Dtype::kFloat32,
                                              .reference_head = true}));
  cases.push_back(measured(DeviceKind::kCuda, {.loss = kLoss,
                                               .rows = 8192,
                                               .hidden = 4096,
                                               .vocab = 128256,
                                               .sequences = 8,
                                               .reference_head = true}));
  return cases;
}

std::vector<Case> preference_cases(LossKind loss) {
  const bool smooths = loss == LossKind::kDpo || loss == LossKind::kSimpo;
  std::vector<Case> cases;
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBfloat16, Dtype::kFloat16}) {
    cases.push_back(quick(loss, dtype, {.ignored = Ignored::kSome}));
  }
  cases.push_back(
      quick(loss, Dtype::kFloat32,
            {.frozen = true, .rank = 5, .ignored = Ignored::kSome, .label_smoothing = smooths ? 0.1 : 0.0}));
  cases.push_back(measured(DeviceKind::kCuda,
                           {.loss = loss, .rows = 4096, .hidden = 2048, .vocab = 128256, .sequences = 8}));
  return cases;
}

}  // namespace

std::vector<Case> cases_of(LossKind loss) {
  switch (loss) {
    case LossKind::kCrossEntropy:
      return cross_entropy_cases();
    case LossKind::kTokenLogprob:
      return token_logprob_cases();
    case LossKind::kMse:
      return mse_cases();
    case LossKind::kDistillation:
      return distillation_cases();
    case LossKind::kGrpo:
      return grpo_cases();
    default:
      return preference_cases(loss);
  }
}

}  // namespace assay::suites::backprop
