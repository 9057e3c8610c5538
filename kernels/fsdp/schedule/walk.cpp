// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/walk.hpp"

#include <algorithm>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

/// Messages of a channel so far: what was sent, when it arrived, when it was taken.
struct Line {
  std::vector<Action> sent;
  std::vector<double> arrived, taken;
};

class Walk {
 public:
  Walk(const Schedule& schedule, int capacity, double transfer,
       const std::function<double(const Action&)>& cost)
      : schedule_(schedule), capacity_(static_cast<std::size_t>(capacity)), transfer_(transfer), cost_(cost) {
    at_.resize(schedule.ranks.size());
    clock_.resize(schedule.ranks.size());
  }

  WalkResult run() {
    std::vector<std::vector<Timed>> events(schedule_.ranks.size());
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t rank = 0; rank < at_.size(); ++rank)
        while (at_[rank] < schedule_.ranks[rank].size() && step(rank, events[rank])) moved = true;
    }
    WalkResult result;
    for (const auto& of_rank : events)
      result.events.insert(result.events.end(), of_rank.begin(), of_rank.end());
    result.stuck = waiting();
    result.finished = result.stuck.empty();
    return result;
  }

 private:
  bool step(std::size_t rank, std::vector<Timed>& events) {
    const Action& action = schedule_.ranks[rank][at_[rank]];
    double end = clock_[rank];
    if (!is_transfer(action.kind))
      end += cost_(action);
    else if (!(is_send(action.kind) ? send(action, end) : receive(action, end)))
      return false;
    events.push_back({static_cast<int>(rank), action, clock_[rank], end});
    clock_[rank] = end;
    ++at_[rank];
    return true;
  }

  bool send(const Action& action, double& end) {
    Line& line = lines_[channel_of(schedule_, action)];
    if (line.sent.size() >= line.taken.size() + capacity_)
      return false;
    if (line.sent.size() >= capacity_)
      end = std::max(end, line.taken[line.sent.size() - capacity_]);
    const double before = line.arrived.empty() ? 0.0 : line.arrived.back();
    line.sent.push_back(action);
    line.arrived.push_back(std::max(end, before) + transfer_);
    return true;
  }

  bool receive(const Action& action, double& end) {
    Line& line = lines_[channel_of(schedule_, action)];
    const std::size_t next = line.taken.size();
    if (next == line.sent.size() || other_end(line.sent[next]) != action)
      return false;
    end = std::max(end, line.arrived[next]);
    line.taken.push_back(end);
    return true;
  }

  std::string waiting() const {
    std::string text;
    for (std::size_t rank = 0; rank < at_.size(); ++rank) {
      if (at_[rank] == schedule_.ranks[rank].size())
        continue;
      const Action& action = schedule_.ranks[rank][at_[rank]];
      const Channel channel = channel_of(schedule_, action);
      text += (text.empty() ? "" : "; ") + std::string("rank ") + std::to_string(rank) + " waits in " +
              text_of(action) + " for rank " +
              std::to_string(is_send(action.kind) ? channel.to : channel.from);
    }
    return text;
  }

  const Schedule& schedule_;
  std::size_t capacity_;
  double transfer_;
  const std::function<double(const Action&)>& cost_;
  std::vector<std::size_t> at_;
  std::vector<double> clock_;
  std::map<Channel, Line> lines_;
};

}  // namespace

WalkResult walk(const Schedule& schedule, int capacity, double transfer,
                const std::function<double(const Action&)>& cost) {
  if (capacity < 1)
    throw std::invalid_argument("walk: expected channels that hold at least one message, found " +
                                std::to_string(capacity));
  return Walk(schedule, capacity, transfer, cost).run();
}

}  // namespace assay::kernels::fsdp
