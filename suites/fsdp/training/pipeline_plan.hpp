// SPDX-License-Identifier: Apache-2.0
// A pipeline that ranks run with stages that wait instead of computing, and what each reports: as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/fsdp/schedule/schedule.hpp"

namespace assay::suites::fsdp {

/// Every rank's actions as text, transfers among them.
struct ScheduleText {
  std::string name;
  int microbatches = 0;
  std::vector<int> rank_of_stage;
  std::vector<std::vector<std::string>> ranks;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ScheduleText, name, microbatches, rank_of_stage, ranks)

inline ScheduleText text_of(const kernels::fsdp::Schedule& schedule) {
  ScheduleText text{schedule.name, schedule.microbatches, schedule.rank_of_stage, {}};
  for (const auto& actions : schedule.ranks) {
    text.ranks.emplace_back();
    for (const auto& action : actions) text.ranks.back().push_back(kernels::fsdp::text_of(action));
  }
  return text;
}
inline kernels::fsdp::Schedule schedule_of(const ScheduleText& text) {
  kernels::fsdp::Schedule schedule{text.name, text.microbatches, text.rank_of_stage, {}};
  for (const auto& actions : text.ranks) {
    schedule.ranks.emplace_back();
    for (const auto& action : actions) schedule.ranks.back().push_back(kernels::fsdp::parse_action(action));
  }
  return schedule;
}

/// Seconds of each action of a whole rank's microbatch; a stage takes its part of the rank's.
struct WaitingCosts {
  double forward = 0, recompute = 0, input = 0, weight = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WaitingCosts, forward, recompute, input, weight)

struct PipelinePlan {
  ScheduleText schedule;
  WaitingCosts costs;
  int repeats = 5;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PipelinePlan, schedule, costs, repeats)

/// One run on one rank, seconds from its begin, which is the same for all ranks within a barrier.
struct PipelineTimes {
  double compute = 0;  ///< of all actions that are no transfers
  double end = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PipelineTimes, compute, end)

struct PipelineReport {
  int rank = 0;
  std::string error = {};
  std::vector<PipelineTimes> runs = {};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PipelineReport, rank, error, runs)

}  // namespace assay::suites::fsdp
