// SPDX-License-Identifier: Apache-2.0
// Checks on the numbers: right, following the inputs, the same each time.
#include <fmt/format.h>

#include <algorithm>

#include "harness/verify/checks.hpp"
#include "harness/verify/describe.hpp"

namespace assay::harness {
namespace {

// A baseline sets the tolerance of others, so it must itself be near: all zeros have 1, a forgotten factor of
// two 0.5.
constexpr double kWorstBaseline = 0.25;
// An answer to changed inputs must be this much nearer to the new truth than the old answer is. Its own
// limits cannot be used as they are: they are the baseline's errors on the first inputs. 1/64 leaves room for
// 16-bit rounding (1/256).
constexpr double kNearerThanStale = 1.0 / 64;
constexpr double kSlackOnOtherInputs = 4.0;

/// The challenge's rule, with a peer's own k.
ParityRule rule_for(const Trial& trial) {
  const Challenge& challenge = trial.subject.challenge;
  ParityRule rule = challenge.parity_of ? challenge.parity_of(trial.subject.which) : challenge.parity;
  rule.k = trial.subject.implementation.own_k.value_or(rule.k);
  return rule;
}

BaselineErrors limits_for(const Trial& trial) {
  if (trial.subject.challenge.parity.exact) {
    return {};
  }
  if (trial.subject.baseline != nullptr) {
    return *trial.subject.baseline;
  }
  if (trial.subject.implementation.role != Role::kBaseline) {
    throw CannotJudge(
        "its error is held against a baseline's: expected a baseline that passes here, found none");
  }
  return *trial.errors;
}

Reason too_far_for_a_baseline(const BaselineErrors& errors) {
  for (const OutputErrors& output : errors.outputs) {
    if (!(output.rel_err <= kWorstBaseline)) {
      return fmt::format(
          "as a baseline it must be near the truth: relative error of '{}' is {:.4g}, limit {}",
          output.output, output.rel_err, kWorstBaseline);
    }
  }
  return std::nullopt;
}

/// Per tile the larger of: a fraction of the old answer's distance, and the widened limit of the first
/// inputs.
BaselineErrors limits_after_change(const Trial& trial, const BaselineErrors& stale) {
  const double k = kSlackOnOtherInputs * rule_for(trial).k;
  BaselineErrors limits = stale;
  for (OutputErrors& output : limits.outputs) {
    const auto same = [&](const OutputErrors& other) { return other.output == output.output; };
    const auto& known = trial.first_answer.limits.outputs;
    const auto first = std::find_if(known.begin(), known.end(), same);
    const auto largest = [](const std::vector<double>& values) {
      return values.empty() ? 0.0 : *std::max_element(values.begin(), values.end());
    };
    const double rms = k * largest(first->tile_rms), max = k * largest(first->tile_max);
    for (double& tile : output.tile_rms) {
      tile = std::max(kNearerThanStale * tile, rms);
    }
    for (double& tile : output.tile_max) {
      tile = std::max(kNearerThanStale * tile, max);
    }
    output.rel_err = std::max(kNearerThanStale * output.rel_err, k * first->rel_err);
  }
  return limits;
}

}  // namespace

Reason check_parity(Trial& trial) {
  const ParityRule rule = rule_for(trial);
  // Errors of others than baselines limit nobody; measuring them is a pass over every element.
  if (!rule.exact && trial.subject.implementation.role == Role::kBaseline) {
    trial.errors = measure_errors(*trial.first, trial.subject.oracle);
  }
  trial.first_answer.oracle = &trial.subject.oracle;
  trial.first_answer.rule = rule;
  trial.first_answer.limits = limits_for(trial);
  trial.parity = compare(*trial.first, trial.subject.oracle, rule, &trial.first_answer.limits);
  if (!passes(trial.parity)) {
    return describe_mismatch(trial.parity, *trial.first);
  }
  if (trial.bits_varied) {  // the outputs of a later run have other bits: they must be right as well
    trial.run(kPoison);
    if (Reason reason = trial.disagreement(trial.outputs, trial.first_answer)) {
      return "in a later call " + *reason;
    }
  }
  const bool sets_tolerance = !rule.exact && trial.subject.implementation.role == Role::kBaseline;
  return sets_tolerance ? too_far_for_a_baseline(*trial.errors) : std::nullopt;
}

Reason check_stale_input(Trial& trial) {
  const ParityRule rule = rule_for(trial);
  Answer& answer = trial.second_answer;
  answer.oracle = &trial.subject.second_oracle;
  answer.rule = rule;
  if (!rule.exact) {
    answer.limits = limits_after_change(trial, measure_errors(*trial.first, trial.subject.second_oracle));
    answer.rule.k = 1.0;
    answer.rule.floor_ulp *= kSlackOnOtherInputs;
    for (auto& [output, floor] : answer.rule.floor_ulp_of) {
      floor *= kSlackOnOtherInputs;
    }
  }
  trial.load_inputs(trial.subject.second_inputs);
  trial.run(kPoison);
  const TensorSet found = trial.outputs.copy_to(DeviceKind::kCpu);
  answer.digest = trial.outputs.digest();
  const Parity parity = compare(found, *answer.oracle, answer.rule, &answer.limits);
  trial.load_inputs(trial.subject.host_inputs);
  if (passes(parity)) {
    return std::nullopt;
  }
  const char* what =
      answer.digest == trial.first_answer.digest ? "the old answer came again" : "the answer is wrong";
  return fmt::format("after the inputs changed in place {}: {}", what, describe_mismatch(parity, found));
}

Reason check_determinism(Trial& trial) {
  constexpr int kRuns = 3;
  if (!trial.subject.implementation.deterministic) {
    return std::nullopt;
  }
  for (int run = 0; run < kRuns; ++run) {
    trial.run(kPoison);
    if (trial.outputs.digest() != trial.first_answer.digest) {
      const TensorSet found = trial.outputs.copy_to(DeviceKind::kCpu);
      return "declared deterministic, but equal calls gave different bits: " +
             describe_difference(*trial.first, found).value_or("");
    }
  }
  if (trial.bits_varied) {
    return "declared deterministic, but equal calls gave different bits, though not in the last runs";
  }
  return std::nullopt;
}

}  // namespace assay::harness
