// SPDX-License-Identifier: Apache-2.0
// Transfers, deadlock and memory: what needs all ranks' lists, or the walk.
#include <map>

#include "kernels/fsdp/schedule/check_rules.hpp"
#include "kernels/fsdp/schedule/walk.hpp"

namespace assay::kernels::fsdp {
namespace {

using enum ActionKind;
using Messages = std::vector<std::string>;

/// Every message that must cross ranks, as its send.
std::vector<Action> crossings(const Schedule& schedule) {
  std::vector<Action> sends;
  for (int s = 0; s + 1 < schedule.stages(); ++s)
    for (int m = 0; m < schedule.microbatches && !schedule.stays_on_rank(s, s + 1); ++m) {
      sends.push_back({kSendForward, s, m});
      sends.push_back({kSendBackward, s + 1, m});
    }
  return sends;
}

std::string channel_text(const Channel& channel) {
  return std::string(channel.forward ? "activations" : "gradients") + " from rank " +
         std::to_string(channel.from) + " to rank " + std::to_string(channel.to);
}

}  // namespace

Messages transfer_errors(const Schedule& schedule, const ScheduleLimits&) {
  std::map<Action, int> times;
  std::map<Channel, std::vector<Action>> sent, received;  // as sends
  for (const auto& actions : schedule.ranks)
    for (const Action& action : actions)
      if (is_transfer(action.kind)) {
        ++times[action];
        const bool send = is_send(action.kind);
        (send ? sent : received)[channel_of(schedule, action)].push_back(send ? action : other_end(action));
      }
  Messages errors;
  std::map<Action, int> wanted;
  for (const Action& send : crossings(schedule)) wanted[send] = wanted[other_end(send)] = 1;
  for (const auto& [action, count] : wanted)
    if (times[action] != 1)
      errors.push_back("expected " + text_of(action) + " once, found it " + std::to_string(times[action]) +
                       " times");
  for (const auto& [action, count] : times)
    if (count > 0 && !wanted.contains(action))
      errors.push_back("expected no " + text_of(action) + ": both stages are on one rank");
  for (const auto& [channel, order] : sent)
    for (std::size_t i = 0; i < order.size() && errors.empty(); ++i)
      if (const auto& other = received[channel]; other.at(i) != order[i])
        errors.push_back(channel_text(channel) + ", message " + std::to_string(i) +
                         ": expected both ends to name the same, found " + text_of(order[i]) + " and " +
                         text_of(other_end(other[i])));
  return errors;
}

Messages deadlock_errors(const Schedule& schedule, const ScheduleLimits& limits) {
  const WalkResult result = walk(schedule, limits.channel_capacity, 0.0, [](const Action&) { return 0.0; });
  if (result.finished)
    return {};
  return {"expected every rank to reach its end with channels of " + std::to_string(limits.channel_capacity) +
          ", found: " + result.stuck};
}

Messages memory_errors(const Schedule& schedule, const ScheduleLimits& limits) {
  Messages errors;
  const std::vector<int> held = most_held(schedule);
  for (std::size_t rank = 0; rank < held.size(); ++rank)
    if (limits.most_held > 0 && held[rank] > limits.most_held)
      errors.push_back("rank " + std::to_string(rank) + ": expected at most " +
                       std::to_string(limits.most_held) + " microbatches kept, found " +
                       std::to_string(held[rank]));
  return errors;
}

}  // namespace assay::kernels::fsdp
