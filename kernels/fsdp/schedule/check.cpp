// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/check.hpp"

#include <algorithm>

#include "kernels/fsdp/schedule/check_rules.hpp"

namespace assay::kernels::fsdp {

std::string name_of(ScheduleCheck check) {
  switch (check) {
    case ScheduleCheck::kPlacement:
      return "placement";
    case ScheduleCheck::kComplete:
      return "complete";
    case ScheduleCheck::kOrder:
      return "order";
    case ScheduleCheck::kTransfers:
      return "transfers";
    case ScheduleCheck::kDeadlock:
      return "deadlock";
    case ScheduleCheck::kMemory:
      return "memory";
  }
  return "unknown";
}

std::vector<ScheduleFinding> check_schedule(const Schedule& schedule, const ScheduleLimits& limits) {
  using Rule = std::vector<std::string> (*)(const Schedule&, const ScheduleLimits&);
  constexpr std::pair<ScheduleCheck, Rule> kRules[] = {
      {ScheduleCheck::kPlacement, placement_errors}, {ScheduleCheck::kComplete, completeness_errors},
      {ScheduleCheck::kOrder, order_errors},         {ScheduleCheck::kTransfers, transfer_errors},
      {ScheduleCheck::kDeadlock, deadlock_errors},   {ScheduleCheck::kMemory, memory_errors}};
  std::vector<ScheduleFinding> findings;
  for (const auto& [check, rule] : kRules) {
    for (std::string& message : rule(schedule, limits)) findings.push_back({check, std::move(message)});
    if (!findings.empty())
      return findings;
  }
  return findings;
}

}  // namespace assay::kernels::fsdp
