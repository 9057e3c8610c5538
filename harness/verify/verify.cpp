// SPDX-License-Identifier: Apache-2.0
// The order of the checks, and how each way of failing becomes an outcome.
#include "harness/verify/verify.hpp"

#include "harness/core/interrupt.hpp"
#include "harness/core/outside.hpp"
#include "harness/verify/checks.hpp"

namespace assay::harness {
namespace {

struct NamedCheck {
  const char* name;
  Reason (*holds)(Trial&);
};

constexpr NamedCheck kChecks[] = {
    {checks::kRunError, check_first_run},
    {checks::kCanary, check_canary},
    {checks::kInputMutated, check_input_mutated},
    {checks::kUnwritten, check_unwritten},
    {checks::kParity, check_parity},
    {checks::kStaleInput, check_stale_input},
    {checks::kStream, check_stream},
    {checks::kHostSync, check_host_sync},
    {checks::kGraphReplay, check_graph_replay},
    {checks::kDeterminism, check_determinism},
    {checks::kCanary, check_canary},
    {checks::kInputMutated, check_input_mutated},  // of all later calls
};

/// Only parity's figures belong to a rejection by numbers; other checks reject results that are right.
std::optional<Parity> parity_of(const Trial& trial, const char* check) {
  return std::string_view(check) == checks::kParity ? std::optional(trial.parity) : std::nullopt;
}

Outcome run_checks(Trial& trial) {
  for (const NamedCheck& check : kChecks) {
    throw_if_interrupted();
    if (const Reason reason = check.holds(trial)) {
      return Wrong{check.name, *reason, parity_of(trial, check.name)};
    }
  }
  return Passed{trial.parity, {}, std::nullopt, std::nullopt};
}

}  // namespace

VerifyResult verify(const Challenge& challenge, const Case& which, const Implementation& implementation,
                    const TensorSet& host_inputs, const TensorSet& second_inputs, const Oracle& oracle,
                    const Oracle& second_oracle, const BaselineErrors* baseline) {
  try {
    Trial trial(
        {challenge, which, implementation, host_inputs, second_inputs, oracle, second_oracle, baseline});
    Outcome outcome = run_checks(trial);
    const bool passed = std::holds_alternative<Passed>(outcome);
    return {std::move(outcome), passed ? std::move(trial.errors) : std::nullopt};
  } catch (const RowEnded& ended) {
    return {ended.outcome, std::nullopt};
  } catch (const CallFailed& error) {
    return {Failed{std::string(checks::kRunError) + ": " + error.what()}, std::nullopt};
  } catch (const CannotJudge& error) {
    return {Failed{error.what()}, std::nullopt};
  } catch (const Skip& skip) {
    return {Skipped{skip.what()}, std::nullopt};
  } catch (const OutOfMemory& error) {
    return {OutOfMemoryOutcome{error.what()}, std::nullopt};
  }
}

}  // namespace assay::harness
