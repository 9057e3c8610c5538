// SPDX-License-Identifier: Apache-2.0
// Layers gathered into a fixed number of static buffers. A layer stays gathered until its buffer is needed
// for another, the one longest unused: two buffers are "reshard after forward" with the layers at the turn
// kept, as many as layers are "do not reshard". The base is frozen, so what is gathered is never stale: the
// layers at the end of a backward pass serve the next step's forward. With L layers and b buffers the first
// step gathers 2L - b times, each further one 2(L - b). In a group of one rank a shard is the layer and is
// read where it lies: no buffers, no gathers.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <vector>

#include "kernels/fsdp/layout/packed_layout.hpp"

namespace assay::kernels::fsdp {

class GatheredLayers {
 public:
  /// `shards`: this rank's, uint8 [shard_bytes()] each, kept by reference and not to change. `group` has the
  /// layouts' world; at most one gather is in flight beside the layer in use, so a group on a stream of its
  /// own overlaps it. Throws std::invalid_argument for fewer than two buffers, unless there is one layer.
  GatheredLayers(std::vector<PackedLayout> layouts, std::vector<at::Tensor> shards,
                 c10::intrusive_ptr<c10d::Backend> group, int buffers = 2);

  /// The gathered layer, uint8 [gathered_bytes()]: valid until the next call. Starts to gather `next` (a
  /// layer, or -1) behind it. Every rank calls with the same layers in the same order.
  at::Tensor get(int layer, int next = -1);

  const PackedLayout& layout(int layer) const { return layouts_.at(static_cast<std::size_t>(layer)); }
  std::int64_t gathers() const { return gathers_; }
  std::int64_t buffer_bytes() const;

 private:
  struct Slot {
    at::Tensor buffer;
    int layer = -1;
    std::int64_t used = -1;
    c10::intrusive_ptr<c10d::Work>
        pending;  ///< may be null where the gather is over, or its stream is this one
  };
  Slot* find(int layer);
  Slot& start(int layer, const Slot* kept);

  std::vector<PackedLayout> layouts_;
  std::vector<at::Tensor> shards_;
  c10::intrusive_ptr<c10d::Backend> group_;
  std::vector<Slot> slots_;
  std::int64_t clock_ = 0, gathers_ = 0;
};

}  // namespace assay::kernels::fsdp
