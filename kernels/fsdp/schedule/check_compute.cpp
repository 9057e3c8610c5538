// SPDX-License-Identifier: Apache-2.0
// Placement, completeness and order: what can be seen in each rank's own list.
#include <map>
#include <set>

#include "kernels/fsdp/schedule/channel.hpp"
#include "kernels/fsdp/schedule/check_rules.hpp"

namespace assay::kernels::fsdp {
namespace {

using enum ActionKind;
using Messages = std::vector<std::string>;

template <class Visit>
void for_each_action(const Schedule& schedule, const Visit& visit) {
  for (std::size_t rank = 0; rank < schedule.ranks.size(); ++rank)
    for (const Action& action : schedule.ranks[rank]) visit(static_cast<int>(rank), action);
}

std::string at(int rank, const Action& action) {
  return "rank " + std::to_string(rank) + ", " + text_of(action) + ": ";
}

/// What must stand before `action` in its rank's list.
std::vector<Action> needed_before(const Schedule& schedule, const Action& action, bool recomputes) {
  const auto [kind, s, m] = action;
  const auto of = [&](ActionKind other, int stage) { return Action{other, stage, m}; };
  const bool first = s == 0, last = s + 1 == schedule.stages();
  switch (kind) {
    case kForward:
      if (first)
        return {};
      return {schedule.stays_on_rank(s, s - 1) ? of(kForward, s - 1) : of(kReceiveForward, s)};
    case kRecompute:
    case kSendForward:
      return {of(kForward, s)};
    case kBackward:
    case kBackwardInput: {
      std::vector<Action> needed{of(recomputes ? kRecompute : kForward, s)};
      if (!last)
        needed.push_back(schedule.stays_on_rank(s, s + 1) ? of(kind, s + 1) : of(kReceiveBackward, s));
      return needed;
    }
    case kBackwardWeight:
    case kSendBackward:
      return {of(kBackwardInput, s)};
    case kReceiveForward:
    case kReceiveBackward:
      return {};
  }
  return {};
}

/// B stands for I where a schedule does not split it (needed_before asks for either).
bool has(const std::set<Action>& done, Action needed) {
  if (done.contains(needed))
    return true;
  if (!is_backward_to_input(needed.kind))
    return false;
  needed.kind = needed.kind == kBackward ? kBackwardInput : kBackward;
  return done.contains(needed);
}

}  // namespace

Messages placement_errors(const Schedule& schedule, const ScheduleLimits&) {
  Messages errors;
  for_each_action(schedule, [&](int rank, const Action& action) {
    const int stages = schedule.stages();
    const auto inside = [&](int stage) { return stage >= 0 && stage < stages; };
    if (!inside(action.stage) || action.microbatch < 0 || action.microbatch >= schedule.microbatches)
      errors.push_back(at(rank, action) + "expected one of " + std::to_string(stages) + " stages and " +
                       std::to_string(schedule.microbatches) + " microbatches");
    else if (const int owner = schedule.rank_of_stage[static_cast<std::size_t>(action.stage)]; owner != rank)
      errors.push_back(at(rank, action) + "expected it on rank " + std::to_string(owner));
    else if (is_transfer(action.kind) && !inside(other_end(action).stage))
      errors.push_back(at(rank, action) + "expected a stage at the other end, found the end of the pipeline");
  });
  return errors;
}

Messages completeness_errors(const Schedule& schedule, const ScheduleLimits&) {
  std::map<Action, int> times;
  for_each_action(schedule, [&](int, const Action& action) { ++times[action]; });
  Messages errors;
  for (int s = 0; s < schedule.stages(); ++s)
    for (int m = 0; m < schedule.microbatches; ++m) {
      const auto count = [&](ActionKind kind) {
        const auto found = times.find({kind, s, m});
        return found == times.end() ? 0 : found->second;
      };
      const int f = count(kForward), r = count(kRecompute), b = count(kBackward), i = count(kBackwardInput),
                w = count(kBackwardWeight);
      const bool backward_once = (b == 1 && i == 0 && w == 0) || (b == 0 && i == 1 && w == 1);
      if (f != 1 || r > 1 || !backward_once)
        errors.push_back("stage " + std::to_string(s) + ", microbatch " + std::to_string(m) +
                         ": expected one F, at most one R, and one B or one I and one W, found F " +
                         std::to_string(f) + ", R " + std::to_string(r) + ", B " + std::to_string(b) +
                         ", I " + std::to_string(i) + ", W " + std::to_string(w));
    }
  return errors;
}

Messages order_errors(const Schedule& schedule, const ScheduleLimits&) {
  std::set<Action> listed, done;  // what another rank does is never asked for
  for_each_action(schedule, [&](int, const Action& action) { listed.insert(action); });
  Messages errors;
  for_each_action(schedule, [&](int rank, const Action& action) {
    const bool recomputes = listed.contains({kRecompute, action.stage, action.microbatch});
    for (const Action& needed : needed_before(schedule, action, recomputes)) {
      const bool absent_transfer =
          is_transfer(needed.kind) && !listed.contains(needed);  // kTransfers says so
      if (!has(done, needed) && !absent_transfer)
        errors.push_back(at(rank, action) + "expected " + text_of(needed) + " before it");
    }
    done.insert(action);
  });
  return errors;
}

}  // namespace assay::kernels::fsdp
