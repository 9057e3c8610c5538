// SPDX-License-Identifier: Apache-2.0
#include "harness/run/case_run.hpp"

#include <algorithm>

#include "harness/core/interrupt.hpp"
#include "harness/core/outside.hpp"
#include "harness/device/device.hpp"
#include "harness/measure/statistics.hpp"
#include "harness/memory/memory.hpp"

namespace assay::harness {
namespace {

constexpr TimeMode kModes[] = {TimeMode::kGraph, TimeMode::kCold, TimeMode::kWall};

const MeasureOptions& options_for(const RunOptions& options, TimeMode mode) {
  switch (mode) {
    case TimeMode::kGraph:
      return options.graph;
    case TimeMode::kCold:
      return options.cold;
    case TimeMode::kWall:
      return options.wall;
  }
  throw std::logic_error("unknown time mode");
}

/// The timing of the other side of a pair, as a row of its own: what the baseline took, against nothing.
Timing baseline_side(const Timing& pair) {
  Timing own;
  own.mode = pair.mode;
  own.candidate_ns = pair.baseline_ns;
  own.candidate_samples_ns = pair.baseline_samples_ns;
  own.notes = pair.notes;
  return own;
}

}  // namespace

/// An implementation ready to be timed, on outputs that are its own.
struct CaseRun::Side {
  const Implementation* implementation;
  std::vector<TensorSet> outputs;
  Prepared prepared;
  std::vector<std::uint64_t> digests;  // of the outputs after one call each

  Side(const Challenge& challenge, const Case& which, const DeviceInfo& device,
       const Implementation& which_one, const std::vector<TensorSet>& inputs)
      : implementation(&which_one),
        outputs(make_output_sets(challenge, which, device,
                                 which_one.prepare_remote ? 0 : static_cast<int>(inputs.size()))),
        prepared(prepare_on_all(which_one, which, inputs, outputs)) {
    if (!which_one.copies_results)
      return;
    if (which_one.deterministic)
      throw std::logic_error(which_one.name +
                             " copies its results, so no promise about their bits can be kept");
    prepared.into = prepared.allocating;
  }

  /// Of remote calls every timed window is looked at by itself.
  void take_digests(const DeviceInfo& device) {
    const OwnedStream stream(device.kind);
    for (const Invocation& call : prepared.into) call(stream);
    stream.synchronize();
    if (prepared.remote)
      return;
    for (const TensorSet& set : outputs) digests.push_back(set.digest());
    for (TensorSet& set : outputs) set.fill(0xff);
  }
  Memory memory(const DeviceInfo& device) const {
    return prepared.remote ? prepared.remote->memory()
                           : measure_memory(prepared.allocating.front(), device.kind,
                                            static_cast<std::int64_t>(outputs.front().bytes()));
  }
  /// What was timed wrote the same bits as what was verified.
  bool same_as_before() const {
    for (std::size_t i = 0; i < digests.size(); ++i) {
      if (outputs[i].digest() != digests[i])
        return false;
    }
    return true;
  }
};

/// Another process is timed in windows of calls and no other way; what waits for the device no graph can
/// hold.
bool CaseRun::timed_in(TimeMode mode, const Side& side, DeviceKind device) {
  if (side.prepared.remote)
    return mode == TimeMode::kGraph;
  return mode != TimeMode::kGraph || device != DeviceKind::kCuda || !side.implementation->synchronises;
}

CaseRun::CaseRun(const Challenge& challenge, const Case& which, const DeviceInfo& device,
                 const RunOptions& options, const std::optional<Ceilings>& ceilings,
                 std::function<void(const std::string&)> progress)
    : challenge_(challenge),
      case_(which),
      device_(device),
      options_(options),
      ceilings_(ceilings),
      progress_(std::move(progress)) {}

Passed* CaseRun::passed_of(const Implementation& implementation) {
  const auto found = outcomes_.find(implementation.name);
  return found == outcomes_.end() ? nullptr : std::get_if<Passed>(&found->second);
}

std::vector<std::pair<const Implementation*, Outcome>> CaseRun::run(
    const std::vector<const Implementation*>& implementations) {
  verify_all(implementations);
  try {
    if (options_.measure && case_.measured)
      measure_all(implementations);
  } catch (const RowEnded& ended) {
    baseline_ended(ended, implementations);
  }
  std::vector<std::pair<const Implementation*, Outcome>> out;
  for (const Implementation* implementation : implementations) {
    out.emplace_back(implementation, std::move(outcome_of(*implementation)));
  }
  return out;
}

void CaseRun::verify_all(const std::vector<const Implementation*>& implementations) {
  std::optional<CaseData> first, second;
  std::optional<BaselineErrors> baseline;
  for (const Implementation* implementation : implementations) {
    throw_if_interrupted();
    Outcome& outcome = outcomes_[implementation->name];
    if (implementation->unsupported) {
      if (const auto reason = implementation->unsupported(case_, device_.facts())) {
        outcome = Skipped{*reason};
        continue;
      }
    }
    progress_(implementation->name + ": verifying");
    if (!first) {
      first.emplace(challenge_, case_, case_.seed);
      second.emplace(challenge_, case_, case_.seed + 7919);
    }
    VerifyResult result = verify(challenge_, case_, *implementation, first->inputs, second->inputs,
                                 first->oracle, second->oracle, baseline ? &*baseline : nullptr);
    outcome = std::move(result.outcome);
    if (!baseline && implementation->role == Role::kBaseline)
      baseline = std::move(result.errors);
  }
}

const Implementation* CaseRun::choose_baseline(const std::vector<const Implementation*>& implementations) {
  const Implementation* best = nullptr;
  for (const Implementation* implementation : implementations) {
    if (!implementation->headline_baseline || passed_of(*implementation) == nullptr)
      continue;
    if (best == nullptr) {
      best = implementation;
      continue;
    }
    progress_(implementation->name + ": which baseline is faster");
    Side a(challenge_, case_, device_, *best, inputs_),
        b(challenge_, case_, device_, *implementation, inputs_);
    const Timing timing = measure_pair(TimeMode::kGraph, b.prepared, a.prepared, device_, options_.graph);
    if (timing.speedup && timing.speedup->median > 1.0)
      best = implementation;
  }
  return best;
}

void CaseRun::measure_all(const std::vector<const Implementation*>& implementations) {
  inputs_ = make_input_sets(challenge_, case_, device_, sets_for_case(challenge_, case_, device_));
  const Implementation* chosen = choose_baseline(implementations);
  if (chosen == nullptr) {
    for (const Implementation* implementation : implementations) {
      if (Passed* passed = passed_of(*implementation);
          passed != nullptr && implementation->role == Role::kCandidate) {
        outcome_of(*implementation) =
            Failed{"no baseline passed on this case, so there is nothing to be timed against"};
      }
    }
    return;
  }
  Side baseline(challenge_, case_, device_, *chosen, inputs_);
  if (chosen->deterministic)
    baseline.take_digests(device_);
  progress_(chosen->name + ": memory");
  baseline_memory_ = baseline.memory(device_);
  passed_of(*chosen)->memory = baseline_memory_;
  bool first = true;
  for (const Implementation* implementation : implementations) {
    if (implementation == chosen || passed_of(*implementation) == nullptr)
      continue;
    measure_one(*implementation, baseline, first);
    first = false;
  }
}

/// A baseline in a process of its own passed and then did not keep up: nobody has a time without it.
void CaseRun::baseline_ended(const RowEnded& ended,
                             const std::vector<const Implementation*>& implementations) {
  for (const Implementation* implementation : implementations) {
    const Passed* passed = passed_of(*implementation);
    if (implementation->name == ended.who)
      outcome_of(*implementation) = ended.outcome;
    else if (passed != nullptr && passed->timings.empty())
      outcome_of(*implementation) = Failed{"its baseline ended before it: " + ended.text};
  }
}

void CaseRun::measure_one(const Implementation& implementation, Side& baseline, bool first) {
  try {
    throw_if_interrupted();
    Passed passed = *passed_of(implementation);
    Side candidate(challenge_, case_, device_, implementation, inputs_);
    if (implementation.deterministic)
      candidate.take_digests(device_);
    progress_(implementation.name + ": memory");
    passed.memory = candidate.memory(device_);
    passed.memory->baseline_peak_bytes = baseline_memory_->peak_bytes;
    time_modes(implementation, candidate, baseline, passed);
    if (implementation.deterministic && !candidate.same_as_before()) {
      outcome_of(implementation) =
          Wrong{checks::kTimedOutput, "what was timed wrote other bits than what was verified", {}};
      return;
    }
    if (first) {
      Passed& own = *passed_of(*baseline.implementation);
      for (const Timing& timing : passed.timings) own.timings.push_back(baseline_side(timing));
      if (ceilings_ && !own.timings.empty() && ceiling_value(challenge_.work(case_).ceiling, *ceilings_)) {
        own.work = work_done(challenge_.work(case_), own.timings.front().candidate_ns, *ceilings_);
      }
    }
    if (const auto reason = too_fast(passed)) {
      outcome_of(implementation) = Failed{*reason};
      return;
    }
    outcome_of(implementation) = std::move(passed);
  } catch (const Interrupted&) {
    throw;
  } catch (const RowEnded& ended) {
    if (ended.who == baseline.implementation->name)
      outcome_of(implementation) = Failed{"its baseline ended before it: " + ended.text};
    else
      outcome_of(implementation) = ended.outcome;
  } catch (const OutOfMemory& error) {
    outcome_of(implementation) = OutOfMemoryOutcome{error.what()};
  } catch (const Skip& error) {
    outcome_of(implementation) = Skipped{error.what()};
  } catch (const std::exception& error) {
    outcome_of(implementation) = Failed{error.what()};
  }
}

/// Why the time cannot be true, if it cannot. A ceiling taken while a neighbour was busy is too low, so it is
/// measured once more before anybody is failed for it.
std::optional<std::string> CaseRun::too_fast(Passed& passed) {
  if (!passed.work || !implausible(*passed.work, *ceilings_))
    return std::nullopt;
  progress_("measuring the ceilings again");
  const Ceilings ceilings = highest(*ceilings_, measure_ceilings(device_));
  passed.work = work_done(challenge_.work(case_), passed.timings.front().candidate_ns, ceilings);
  return implausible(*passed.work, ceilings);
}

void CaseRun::time_modes(const Implementation& implementation, Side& candidate, Side& baseline,
                         Passed& passed) {
  for (const TimeMode mode : kModes) {
    if (!timed_in(mode, candidate, device_.kind))
      continue;
    throw_if_interrupted();
    progress_(implementation.name + ": " + std::string(mode_name(mode)));
    Timing timing =
        measure_pair(mode, candidate.prepared, baseline.prepared, device_, options_for(options_, mode));
    timing.baseline = baseline.implementation->name;
    passed.timings.push_back(std::move(timing));
  }
  const Work work = challenge_.work(case_);
  if (ceilings_ && ceiling_value(work.ceiling, *ceilings_)) {
    passed.work = work_done(work, passed.timings.front().candidate_ns, *ceilings_);
  }
}

}  // namespace assay::harness
