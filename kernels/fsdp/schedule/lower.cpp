// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/lower.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>

#include "kernels/fsdp/schedule/channel.hpp"

namespace assay::kernels::fsdp {
namespace {

using enum ActionKind;

/// The transfer that carries away what `action` makes, the one that brings what it reads; none at the
/// pipeline's ends, for W and R, and where the neighbour is on the same rank.
std::optional<Action> send_behind(const Schedule& schedule, const Action& action) {
  if (action.kind == kForward && action.stage + 1 < schedule.stages() &&
      !schedule.stays_on_rank(action.stage, action.stage + 1))
    return Action{kSendForward, action.stage, action.microbatch};
  if (is_backward_to_input(action.kind) && action.stage > 0 &&
      !schedule.stays_on_rank(action.stage, action.stage - 1))
    return Action{kSendBackward, action.stage, action.microbatch};
  return std::nullopt;
}

std::optional<Action> receive_before(const Schedule& schedule, const Action& action) {
  if (action.kind == kForward && action.stage > 0 && !schedule.stays_on_rank(action.stage, action.stage - 1))
    return Action{kReceiveForward, action.stage, action.microbatch};
  if (is_backward_to_input(action.kind) && action.stage + 1 < schedule.stages() &&
      !schedule.stays_on_rank(action.stage, action.stage + 1))
    return Action{kReceiveBackward, action.stage, action.microbatch};
  return std::nullopt;
}

/// Every channel's receives in the order of its sends.
std::map<Channel, std::vector<Action>> receives_by_channel(const Schedule& schedule) {
  std::map<Channel, std::vector<Action>> receives;
  for (const auto& actions : schedule.ranks)
    for (const Action& action : actions)
      if (const auto send = send_behind(schedule, action))
        receives[channel_of(schedule, *send)].push_back(other_end(*send));
  return receives;
}

}  // namespace

Schedule with_recompute(Schedule schedule) {
  for (auto& actions : schedule.ranks) {
    std::vector<Action> list;
    for (const Action& action : actions) {
      if (is_backward_to_input(action.kind))
        list.push_back({kRecompute, action.stage, action.microbatch});
      list.push_back(action);
    }
    actions = std::move(list);
  }
  return schedule;
}

Schedule with_transfers(const Schedule& schedule) {
  const auto receives = receives_by_channel(schedule);
  std::map<Channel, std::size_t> received;
  Schedule lowered = schedule;
  for (std::size_t rank = 0; rank < schedule.ranks.size(); ++rank) {
    std::vector<Action> list;
    for (const Action& action : schedule.ranks[rank]) {
      if (is_transfer(action.kind))
        throw std::invalid_argument("with_transfers: expected compute actions, found " + text_of(action));
      if (const auto wanted = receive_before(schedule, action)) {
        const Channel channel = channel_of(schedule, *wanted);
        const auto found = receives.find(channel);
        const std::vector<Action> none, &order = found == receives.end() ? none : found->second;
        const auto at =
            static_cast<std::size_t>(std::find(order.begin(), order.end(), *wanted) - order.begin());
        for (std::size_t& next = received[channel]; next <= at && next < order.size();)
          list.push_back(order[next++]);
      }
      list.push_back(action);
      if (const auto send = send_behind(schedule, action))
        list.push_back(*send);
    }
    lowered.ranks[rank] = std::move(list);
  }
  return lowered;
}

}  // namespace assay::kernels::fsdp
