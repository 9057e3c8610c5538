// SPDX-License-Identifier: Apache-2.0
// A pipeline schedule as data: for every rank the list of what it does, in order. Whoever runs it walks the
// list; whoever checks, times or draws it needs no device.
//
// The backward pass is split in two (Qi et al., "Zero Bubble Pipeline Parallelism", arXiv 2401.10241): I, the
// gradient of a stage's input, on which the stage before waits; and W, the gradient of its weights, on which
// nobody does. B is both. R recomputes a stage's activations from its saved input where they were not kept:
// it waits for no gradient.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay::kernels::fsdp {

enum class ActionKind : std::uint8_t {
  kForward,
  kRecompute,
  kBackward,  ///< input and weights
  kBackwardInput,
  kBackwardWeight,
  kSendForward,      ///< a stage's output, to the next stage's rank
  kReceiveForward,   ///< a stage's input
  kSendBackward,     ///< the gradient of a stage's input, to the rank of the stage before
  kReceiveBackward,  ///< the gradient of a stage's output
};

struct Action {
  ActionKind kind = ActionKind::kForward;
  int stage = 0, microbatch = 0;
  bool operator==(const Action&) const = default;
  auto operator<=>(const Action&) const = default;
};

/// "2F0": stage 2, forward, microbatch 0; letters F R B I W, SEND_F RECV_F SEND_B RECV_B, as
/// torch.distributed.pipelining writes them. parse_action throws std::invalid_argument for anything else.
std::string text_of(const Action& action);
Action parse_action(std::string_view text);

/// I and W of a microbatch, or B, are its backward.
bool is_backward_to_input(ActionKind kind);  ///< B or I
bool ends_microbatch(ActionKind kind);       ///< B or W: the stage's activations may go
bool is_transfer(ActionKind kind);

struct Schedule {
  std::string name;
  int microbatches = 0;
  std::vector<int> rank_of_stage;
  std::vector<std::vector<Action>> ranks;

  int stages() const { return static_cast<int>(rank_of_stage.size()); }
  int world() const { return static_cast<int>(ranks.size()); }
  /// Whether what stage `stage` passes on stays on its rank (the turn of a V), so that nothing is sent.
  bool stays_on_rank(int stage, int next) const {
    return rank_of_stage[static_cast<std::size_t>(stage)] == rank_of_stage[static_cast<std::size_t>(next)];
  }
};

/// Most microbatches of a stage that each rank keeps activations of at once: from F to B or W; with
/// `recomputed` from R on instead (between F and R only the stage's input is kept).
std::vector<int> most_held(const Schedule& schedule, bool recomputed = false);

}  // namespace assay::kernels::fsdp
