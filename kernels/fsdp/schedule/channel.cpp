// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/channel.hpp"

#include <stdexcept>

namespace assay::kernels::fsdp {

using enum ActionKind;

bool is_send(ActionKind kind) {
  return kind == kSendForward || kind == kSendBackward;
}

Action other_end(const Action& transfer) {
  switch (transfer.kind) {
    case kSendForward:
      return {kReceiveForward, transfer.stage + 1, transfer.microbatch};
    case kReceiveForward:
      return {kSendForward, transfer.stage - 1, transfer.microbatch};
    case kSendBackward:
      return {kReceiveBackward, transfer.stage - 1, transfer.microbatch};
    case kReceiveBackward:
      return {kSendBackward, transfer.stage + 1, transfer.microbatch};
    default:
      throw std::logic_error("expected a transfer, found " + text_of(transfer));
  }
}

Channel channel_of(const Schedule& schedule, const Action& transfer) {
  const int own = schedule.rank_of_stage.at(static_cast<std::size_t>(transfer.stage));
  const int other = schedule.rank_of_stage.at(static_cast<std::size_t>(other_end(transfer).stage));
  const bool forward = transfer.kind == kSendForward || transfer.kind == kReceiveForward;
  return is_send(transfer.kind) ? Channel{own, other, forward} : Channel{other, own, forward};
}

}  // namespace assay::kernels::fsdp
