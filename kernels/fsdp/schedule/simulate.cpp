// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

using enum ActionKind;

void check(const Schedule& schedule, const StageCosts& costs) {
  std::vector<double> all{costs.forward, costs.input, costs.weight, costs.recompute, costs.transfer};
  all.insert(all.end(), costs.scale.begin(), costs.scale.end());
  for (const double cost : all)
    if (!(cost >= 0 && std::isfinite(cost)))
      throw std::invalid_argument("simulate: expected costs of at least 0, found " + std::to_string(cost));
  if (!costs.scale.empty() && costs.scale.size() != schedule.rank_of_stage.size())
    throw std::invalid_argument("simulate: expected a scale for each of " +
                                std::to_string(schedule.stages()) + " stages, found " +
                                std::to_string(costs.scale.size()));
}

std::set<Action> recomputed(const Schedule& schedule) {
  std::set<Action> actions;
  for (const auto& rank : schedule.ranks)
    std::copy_if(rank.begin(), rank.end(), std::inserter(actions, actions.end()),
                 [](const Action& action) { return action.kind == kRecompute; });
  return actions;
}

}  // namespace

double Timeline::idle_fraction() const {
  const double work = std::accumulate(busy.begin(), busy.end(), 0.0);
  return makespan > 0 ? 1.0 - work / (makespan * static_cast<double>(busy.size())) : 0.0;
}

double Timeline::bubble_over_ideal() const {
  const double mean = std::accumulate(busy.begin(), busy.end(), 0.0) / static_cast<double>(busy.size());
  return mean > 0 ? makespan / mean - 1.0 : 0.0;
}

Timeline simulate(const Schedule& schedule, const StageCosts& costs, int channel_capacity) {
  check(schedule, costs);
  const std::set<Action> separate = recomputed(schedule);
  const std::function<double(const Action&)> cost = [&](const Action& action) {
    const double scale = costs.scale.empty() ? 1.0 : costs.scale[static_cast<std::size_t>(action.stage)];
    const bool inside = !separate.contains({kRecompute, action.stage, action.microbatch});
    const double backward = costs.input + (inside ? costs.recompute : 0.0);
    switch (action.kind) {
      case kForward:
        return scale * costs.forward;
      case kRecompute:
        return scale * costs.recompute;
      case kBackward:
        return scale * (backward + costs.weight);
      case kBackwardInput:
        return scale * backward;
      case kBackwardWeight:
        return scale * costs.weight;
      default:
        return 0.0;
    }
  };
  WalkResult walked = walk(schedule, channel_capacity, costs.transfer, cost);
  if (!walked.finished)
    throw std::invalid_argument("simulate: expected a schedule that ends, found: " + walked.stuck);
  Timeline timeline{std::move(walked.events), 0.0, std::vector<double>(schedule.ranks.size())};
  for (const Timed& event : timeline.events) {
    timeline.makespan = std::max(timeline.makespan, event.end);
    if (!is_transfer(event.action.kind))
      timeline.busy[static_cast<std::size_t>(event.rank)] += event.end - event.begin;
  }
  return timeline;
}

}  // namespace assay::kernels::fsdp
