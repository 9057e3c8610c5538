// SPDX-License-Identifier: Apache-2.0
// From compute actions to what a rank really does: transfers between stages on different ranks, and
// recomputation.
#pragma once

#include "kernels/fsdp/schedule/schedule.hpp"

namespace assay::kernels::fsdp {

/// Puts R of every microbatch directly before its B or I. A transfer added later stands between the two, so
/// that R runs while the gradient is still on its way: what a checkpointed backward does in one piece,
/// hoisted into the bubble (Liu et al., "Mario", PPoPP 2025, doi 10.1145/3710848.3710878). Costs one
/// microbatch of activations more at a time.
Schedule with_recompute(Schedule schedule);

/// Puts SEND directly behind what makes a message and RECV directly before what reads it. Messages of one
/// direction (forward, backward) between two ranks are received in the order in which they are sent, so where
/// a rank uses them in another order it receives early. Throws std::invalid_argument for a schedule that has
/// transfers already.
Schedule with_transfers(const Schedule& schedule);

}  // namespace assay::kernels::fsdp
