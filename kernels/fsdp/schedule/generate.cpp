// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/schedule/generate.hpp"

#include <algorithm>
#include <stdexcept>

namespace assay::kernels::fsdp {
namespace {

using enum ActionKind;

void require_at_least_one(int found, const char* what) {
  if (found < 1)
    throw std::invalid_argument("pipeline schedule: expected at least one " + std::string(what) + ", found " +
                                std::to_string(found));
}

/// Stage s on rank s mod `ranks`.
Schedule empty(std::string name, int ranks, int microbatches, int chunks = 1) {
  require_at_least_one(ranks, "rank");
  require_at_least_one(microbatches, "microbatch");
  require_at_least_one(chunks, "stage a rank");
  Schedule schedule{std::move(name), microbatches, {}, {}};
  for (int stage = 0; stage < ranks * chunks; ++stage) schedule.rank_of_stage.push_back(stage % ranks);
  schedule.ranks.resize(static_cast<std::size_t>(ranks));
  return schedule;
}

}  // namespace

Schedule gpipe(int ranks, int microbatches) {
  Schedule schedule = empty("gpipe", ranks, microbatches);
  for (int rank = 0; rank < ranks; ++rank) {
    auto& list = schedule.ranks[static_cast<std::size_t>(rank)];
    for (int m = 0; m < microbatches; ++m) list.push_back({kForward, rank, m});
    for (int m = 0; m < microbatches; ++m) list.push_back({kBackward, rank, m});
  }
  return schedule;
}

Schedule one_f_one_b(int ranks, int microbatches) {
  Schedule schedule = empty("1f1b", ranks, microbatches);
  for (int rank = 0; rank < ranks; ++rank) {
    auto& list = schedule.ranks[static_cast<std::size_t>(rank)];
    int forward = 0;
    while (forward < std::min(ranks - rank - 1, microbatches)) list.push_back({kForward, rank, forward++});
    for (int m = 0; m < microbatches; ++m) {
      if (forward < microbatches)
        list.push_back({kForward, rank, forward++});
      list.push_back({kBackward, rank, m});
    }
  }
  return schedule;
}

Schedule interleaved_1f1b(int ranks, int microbatches, int chunks) {
  Schedule schedule = empty("interleaved-1f1b", ranks, microbatches, chunks);
  if (microbatches % ranks != 0)
    throw std::invalid_argument("interleaved 1F1B: expected microbatches to be a multiple of the " +
                                std::to_string(ranks) + " ranks, found " + std::to_string(microbatches));
  // Unit k of a rank: p microbatches through its first chunk, the same through its second, …; backwards
  // mirrored.
  const auto unit = [&](ActionKind kind, int rank, int k) {
    const int round = k / (ranks * chunks), chunk = k / ranks % chunks;
    const int local = kind == kForward ? chunk : chunks - 1 - chunk;
    return Action{kind, local * ranks + rank, round * ranks + k % ranks};
  };
  const int units = microbatches * chunks;
  for (int rank = 0; rank < ranks; ++rank) {
    auto& list = schedule.ranks[static_cast<std::size_t>(rank)];
    const int ahead = chunks == 1 ? ranks - rank - 1 : 2 * (ranks - rank - 1) + (chunks - 1) * ranks;
    int forward = 0;
    while (forward < std::min(ahead, units)) list.push_back(unit(kForward, rank, forward++));
    for (int backward = 0; backward < units; ++backward) {
      if (forward < units)
        list.push_back(unit(kForward, rank, forward++));
      list.push_back(unit(kBackward, rank, backward));
    }
  }
  return schedule;
}

Schedule zb_h1(int ranks, int microbatches) {
  Schedule schedule = empty("zb-h1", ranks, microbatches);
  for (int rank = 0; rank < ranks; ++rank) {
    auto& list = schedule.ranks[static_cast<std::size_t>(rank)];
    int forward = 0, weight = 0;
    while (forward < std::min(ranks - rank - 1, microbatches)) list.push_back({kForward, rank, forward++});
    for (int m = 0; m < microbatches; ++m) {
      if (forward < microbatches)
        list.push_back({kForward, rank, forward++});
      list.push_back({kBackwardInput, rank, m});
      if (m + 1 - weight > rank)
        list.push_back({kBackwardWeight, rank, weight++});
    }
    while (weight < microbatches) list.push_back({kBackwardWeight, rank, weight++});
  }
  return schedule;
}

}  // namespace assay::kernels::fsdp
