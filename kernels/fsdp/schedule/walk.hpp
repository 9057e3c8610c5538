// SPDX-License-Identifier: Apache-2.0
// Walks a lowered schedule as its ranks would, with channels that hold a bounded number of messages. One walk
// answers whether it ends (zero costs) and when everything happens.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/fsdp/schedule/channel.hpp"

namespace assay::kernels::fsdp {

struct Timed {
  int rank = 0;
  Action action;
  double begin = 0, end = 0;  ///< of a transfer: how long the rank itself waits in it
};

struct WalkResult {
  std::vector<Timed> events;  ///< by rank, each in its order
  bool finished = false;
  std::string stuck;  ///< where not finished: each waiting rank, its action and whom it waits for
};

/// A send takes its rank no time unless `capacity` messages of its channel are not received yet; then it
/// waits. A message arrives `transfer` after it was sent or after the one before it arrived, whichever is
/// later. A receive waits for its message and takes it only when it is the next of the channel. `cost` is of
/// compute actions. Throws std::invalid_argument for a capacity below 1.
WalkResult walk(const Schedule& schedule, int capacity, double transfer,
                const std::function<double(const Action&)>& cost);

}  // namespace assay::kernels::fsdp
