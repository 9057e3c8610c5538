// SPDX-License-Identifier: Apache-2.0
// Whether a lowered schedule may be run: found wrong here, on no device, instead of hanging there.
#pragma once

#include <string>
#include <vector>

#include "kernels/fsdp/schedule/schedule.hpp"

namespace assay::kernels::fsdp {

/// In the order in which they are made. A check is made only when those before it found nothing, so the first
/// finding names the cause.
enum class ScheduleCheck : std::uint8_t {
  kPlacement,  ///< every action is of an existing stage and microbatch and on its stage's rank
  kComplete,   ///< every microbatch passes every stage once: one F, and one B or one I and one W, at most one
               ///< R
  kOrder,  ///< within a rank: F, R, then B or I, then W; RECV before and SEND behind its compute; stages of
           ///< one rank in turn
  kTransfers,  ///< what crosses ranks is sent once and received once, in the same order at both ends of a
               ///< channel
  kDeadlock,   ///< with blocking sends into bounded channels and blocking receives every rank reaches its end
  kMemory,     ///< no rank keeps more microbatches of its stages than the limit
};
std::string name_of(ScheduleCheck check);

struct ScheduleFinding {
  ScheduleCheck check{};
  std::string message;  ///< what was expected and found, with rank and action
};

struct ScheduleLimits {
  int channel_capacity = 1;  ///< messages sent and not yet received, for each direction between two ranks
  int most_held = 0;         ///< stage microbatches a rank may keep (most_held in schedule.hpp); 0: any
};

/// Empty where all is well.
std::vector<ScheduleFinding> check_schedule(const Schedule& schedule, const ScheduleLimits& limits = {});

}  // namespace assay::kernels::fsdp
