// SPDX-License-Identifier: Apache-2.0
// The handcrafted order of arXiv 2405.15362, section 4 ("ZB-V"), phase by phase. It needs 2p - 1 microbatches
// to unfold; for fewer it is made for as many and the surplus is left out.
#include <algorithm>

#include "kernels/fsdp/schedule/generate.hpp"

namespace assay::kernels::fsdp {
namespace {

using enum ActionKind;

/// One rank's list: stage `down` on the way in, stage `up` on the way out of the V.
class VRank {
 public:
  VRank(int rank, int ranks, int microbatches)
      : rank_(rank), ranks_(ranks), planned_(std::max(microbatches, 2 * ranks - 1)), kept_(microbatches) {
    down_.stage = rank;
    up_.stage = 2 * ranks - 1 - rank;
  }

  std::vector<Action> list() {
    warm_up();
    steady();
    cool_down();
    return std::move(list_);
  }

 private:
  struct Side {
    int stage = 0, forward = 0, input = 0, weight = 0;
  };

  void add(ActionKind kind, int stage, int microbatch) {
    if (microbatch < kept_)
      list_.push_back({kind, stage, microbatch});
  }
  void forward(Side& side) { add(kForward, side.stage, side.forward++); }
  void input(Side& side) { add(kBackwardInput, side.stage, side.input++); }
  void weight(Side& side) { add(kBackwardWeight, side.stage, side.weight++); }
  void backward(Side& side) {
    input(side);
    weight(side);
  }

  void warm_up() {
    for (int i = 0; i < 2 * (ranks_ - rank_) - 1; ++i) forward(down_);
    for (int i = 0; i < rank_; ++i) {
      forward(up_);
      forward(down_);
    }
    for (int i = 0; i < ranks_ - rank_; ++i) {
      forward(up_);
      backward(up_);
    }
  }

  void steady() {
    while (up_.forward < down_.forward || down_.forward < planned_) {
      if (down_.forward < planned_)
        forward(down_);
      backward(down_);
      forward(up_);
      backward(up_);
    }
  }

  void cool_down() {
    for (int i = 0; i < rank_; ++i) {
      input(down_);
      input(up_);
    }
    for (int i = 0; i < ranks_ - rank_; ++i) backward(down_);
    while (up_.weight < up_.input) weight(up_);
    while (down_.weight < down_.input) weight(down_);
  }

  int rank_, ranks_, planned_, kept_;
  Side down_, up_;
  std::vector<Action> list_;
};

}  // namespace

Schedule zbv(int ranks, int microbatches) {
  Schedule schedule = gpipe(ranks, microbatches);  // refuses the same sizes
  schedule.name = "zbv";
  for (int rank = 0; rank < ranks; ++rank)
    schedule.ranks[static_cast<std::size_t>(rank)] = VRank(rank, ranks, microbatches).list();
  for (int rank = ranks - 1; rank >= 0; --rank) schedule.rank_of_stage.push_back(rank);
  return schedule;
}

}  // namespace assay::kernels::fsdp
