// SPDX-License-Identifier: Apache-2.0
// Which way a transfer goes. Messages of one channel keep their order, as those of one communicator and
// stream do.
#pragma once

#include "kernels/fsdp/schedule/schedule.hpp"

namespace assay::kernels::fsdp {

struct Channel {
  int from = 0, to = 0;  ///< ranks
  bool forward = true;   ///< activations, or gradients
  bool operator==(const Channel&) const = default;
  auto operator<=>(const Channel&) const = default;
};

bool is_send(ActionKind kind);

/// Of a transfer whose stage, and the stage it is to or from, exist in `schedule`.
Channel channel_of(const Schedule& schedule, const Action& transfer);

/// The receive of a send, the send of a receive.
Action other_end(const Action& transfer);

}  // namespace assay::kernels::fsdp
