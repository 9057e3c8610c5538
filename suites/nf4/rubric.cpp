// SPDX-License-Identifier: Apache-2.0
// Part A of the public challenge: nine lines, each decided from records and checks, never by hand. A line
// without evidence is open and says what is missing; evidence about older sources is stale.
#include "suites/nf4/rubric.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/format.hpp"
#include "harness/report/newest.hpp"
#include "suites/nf4/rubric_evidence.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::CurrentSources;
using harness::Record;
using harness::RecordFile;
using harness::report::interval_text;
using harness::report::time_text;
Decision single_kernel(const RecordFile& file, const CurrentSources& current) {
  return decide_by_fields(file, current, "single_kernel_launch",
                          {{"graph_kernel_nodes", 1}, {"bytes_allocated", 0}}, 3, 0);
}

Decision torch_compile(const RecordFile& file, const CurrentSources& current) {
  return decide_by_fields(file, current, "torch_compile",
                          {{"graph_breaks", 0}, {"bit_equal", true}, {"dynamic_shapes", true}}, 1, -1);
}

/// Both ways of timing with the worse lower bound, or why there is none.
struct WorseSpeed {
  std::optional<double> lower_bound;
  std::string proof;
  bool stale = false;
};

WorseSpeed worse_speed(const RecordFile& file, const CurrentSources& current) {
  WorseSpeed worse;
  const char* counts = "";
  for (const auto mode : {harness::TimeMode::kGraph, harness::TimeMode::kWall}) {
    const PuzzleTotal total = puzzle_total(file, mode, current);
    if (!total.speedup) {
      return {std::nullopt, total.reason, false};
    }
    worse.stale |= total.stale;
    worse.proof +=
        fmt::format("{} {} ({} against {} of {}); ", mode_name(mode), interval_text(*total.speedup),
                    time_text(total.candidate_ns), time_text(total.baseline_ns), total.baselines);
    if (!worse.lower_bound || total.speedup->ci_low < *worse.lower_bound) {
      worse.lower_bound = total.speedup->ci_low;
      counts = mode_name(mode).data();
    }
  }
  worse.proof += fmt::format("{} counts", counts);
  return worse;
}

Decision not_slower(const RecordFile& file, const CurrentSources& current) {
  const WorseSpeed speed = worse_speed(file, current);
  if (!speed.lower_bound) {
    return open(speed.proof);
  }
  if (speed.stale) {
    return stale("the timing of the puzzle's options");
  }
  return *speed.lower_bound <= 1.0 ? Decision{Status::kLost, -3, speed.proof}
                                   : Decision{Status::kEarned, 0, speed.proof};
}

auto at_least(double threshold, int points) {
  return [=](const RecordFile& file, const CurrentSources& current) {
    const WorseSpeed speed = worse_speed(file, current);
    if (!speed.lower_bound) {
      return open(speed.proof);
    }
    if (speed.stale) {
      return stale("the timing of the puzzle's options");
    }
    return *speed.lower_bound >= threshold ? Decision{Status::kEarned, points, speed.proof}
                                           : Decision{Status::kLost, 0, speed.proof};
  };
}

/// A mark in the built code and the effect it was measured to have.
Decision mark_and_effect(const RecordFile& file, const CurrentSources& current, const std::string& mark,
                         const std::string& effect, int points) {
  for (const auto& [name, needs_gpu] :
       {std::pair{std::string("static_code"), false}, std::pair{effect, true}}) {
    if (auto decision = unusable(file, current, name, needs_gpu, 0)) {
      return *decision;
    }
  }
  const std::optional<int> seen = count_of(evidence_of(file, "static_code"), mark);
  if (!seen) {
    return open("static_code says nothing about " + mark);
  }
  if (*seen == 0) {
    return {Status::kLost, 0, "static_code: no " + mark + " in what was built"};
  }
  const nlohmann::json measured = evidence_of(file, effect);
  harness::Interval speedup;
  for (const auto& [field, into] :
       {std::pair{"speedup_median", &speedup.median}, std::pair{"ci_low", &speedup.ci_low},
        std::pair{"ci_high", &speedup.ci_high}}) {
    if (!measured.contains(field) || !measured[field].is_number()) {
      return open(fmt::format("{} has no figure {}", effect, field));
    }
    *into = measured[field].get<double>();
  }
  return {Status::kEarned, points,
          fmt::format("static_code: {} in {}; {}: {}", mark,
                      harness::report::plural(static_cast<std::size_t>(*seen), "build", "builds"), effect,
                      interval_text(speedup))};
}

/// Out of memory or time says nothing about exactness.
bool is_inexact(const Record& record) {
  if (const auto* passed = std::get_if<harness::Passed>(&record.outcome)) {
    return passed->parity.mismatches != 0 || passed->parity.nonfinite != 0;
  }
  return std::holds_alternative<harness::Wrong>(record.outcome) ||
         std::holds_alternative<harness::Failed>(record.outcome);
}

/// Newest records of one implementation on a GPU whose case is of `dtype`: how many passed with no mismatch,
/// and one that did not.
struct Exactness {
  std::size_t exact = 0;
  const Record* bad = nullptr;
  const Record* old = nullptr;
};

Exactness exactness(const RecordFile& file, const CurrentSources& current, const std::string& implementation,
                    const std::string& dtype) {
  Exactness found;
  for (const Record& record : file.records) {
    if (record.challenge != kRubricChallenge || record.implementation != implementation ||
        record.device.kind != harness::DeviceKind::kCuda ||
        record.case_name.find("/" + dtype + "/") == std::string::npos) {
      continue;
    }
    if (harness::report::is_stale(record, current)) {
      found.old = &record;
    } else if (is_inexact(record)) {
      found.bad = &record;
    } else if (std::holds_alternative<harness::Passed>(record.outcome)) {
      ++found.exact;
    }
  }
  return found;
}

std::optional<Decision> not_exact(const RecordFile& file, const CurrentSources& current,
                                  const std::string& implementation, const std::string& dtype,
                                  int lost_points) {
  const Exactness found = exactness(file, current, implementation, dtype);
  if (found.bad != nullptr) {
    return Decision{Status::kLost, lost_points,
                    fmt::format("{} of {} is {}", found.bad->case_name, implementation,
                                outcome_name(found.bad->outcome))};
  }
  if (found.exact > 0) {
    return std::nullopt;
  }
  if (found.old != nullptr) {
    return stale(found.old->case_name + " of " + implementation);
  }
  return open(fmt::format("no {} record of {} on a GPU", dtype, implementation));
}

Decision custom_asm(const RecordFile& file, const CurrentSources& current) {
  for (const char* implementation : {kOurs, "cuda_plain"}) {
    for (const char* dtype : {"f16", "bf16"}) {
      if (auto decision = not_exact(file, current, implementation, dtype, 0)) {
        return *decision;
      }
    }
  }
  return mark_and_effect(file, current, "inline_ptx", "ptx_effect", 3);
}

Decision cache_eviction(const RecordFile& file, const CurrentSources& current) {
  return mark_and_effect(file, current, "cache_hints", "cache_policy_effect", 1);
}

bool ran_on_sm90(const RecordFile& file) {
  return std::any_of(file.records.begin(), file.records.end(), [](const Record& record) {
    return record.implementation == kOurs && record.device.sm == 90 && record.target_mode == "sass" &&
           std::holds_alternative<harness::Passed>(record.outcome);
  });
}

Decision both_dtypes(const RecordFile& file, const CurrentSources& current) {
  for (const char* dtype : {"f16", "bf16"}) {
    if (auto decision = not_exact(file, current, kOurs, dtype, -1)) {
      return *decision;
    }
  }
  for (const char* path : {"sm75_ptx", "sm80_ptx"}) {
    const Decision decision = decide_by_fields(file, current, path, {{"mismatches", 0}}, 0, -1);
    if (decision.status != Status::kEarned) {
      return decision;
    }
  }
  if (!ran_on_sm90(file)) {
    return open("no sass record of cuda_fused on an sm_90 GPU");
  }
  return {Status::kEarned, 1,
          fmt::format(
              "0 mismatches in {} f16 and {} bf16 cases on sm_90; sm75_ptx and sm80_ptx: 0 mismatches",
              exactness(file, current, kOurs, "f16").exact, exactness(file, current, kOurs, "bf16").exact)};
}

}  // namespace

harness::Rubric rubric() {
  return {
      .suite = "nf4",
      .title = "A: NF4 dequantize",
      .lines = {{"Single kernel: nested absmax and weights in one launch, no intermediate buffer", 3,
                 single_kernel},
                {"Speedup at most 1.00 over the Unsloth sequence, puzzle's options summed", -3, not_slower,
                 kRubricChallenge},
                {"Speedup at least 1.05 (lower bound, worse of graph and wall)", 1, at_least(1.05, 1),
                 kRubricChallenge},
                {"Speedup at least 1.10", 2, at_least(1.10, 2), kRubricChallenge},
                {"Speedup at least 1.15", 2, at_least(1.15, 2), kRubricChallenge},
                {"Works in torch.compile, fullgraph and dynamic (else -1)", 1, torch_compile},
                {"Custom assembly on the hot path, with its effect measured", 3, custom_asm},
                {"Cache eviction policy, with its effect measured", 1, cache_eviction},
                {"f16 and bf16 bit-exact on the sm_75, sm_80 and sm_90 paths (else -1)", 1, both_dtypes}}};
}

}  // namespace assay::suites::nf4
