// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/engine/gathered_layers.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <stdexcept>

namespace assay::kernels::fsdp {

GatheredLayers::GatheredLayers(std::vector<PackedLayout> layouts, std::vector<at::Tensor> shards,
                               c10::intrusive_ptr<c10d::Backend> group, int buffers)
    : layouts_(std::move(layouts)), shards_(std::move(shards)), group_(std::move(group)) {
  if (layouts_.empty() || shards_.size() != layouts_.size() || (buffers < 2 && layouts_.size() > 1) ||
      buffers < 1)
    throw std::invalid_argument("gathered layers: expected a shard a layer and at least two buffers, found " +
                                std::to_string(layouts_.size()) + " layers, " +
                                std::to_string(shards_.size()) + " shards, " + std::to_string(buffers) +
                                " buffers");
  std::int64_t bytes = 0;
  for (const PackedLayout& layout : layouts_) {
    if (layout.world() != group_->getSize())
      throw std::invalid_argument("gathered layers: expected layouts over the group's " +
                                  std::to_string(group_->getSize()) + " ranks, found " +
                                  std::to_string(layout.world()));
    bytes = std::max(bytes, layout.gathered_bytes());
  }
  if (group_->getSize() == 1)
    return;
  slots_.resize(std::min(layouts_.size(), static_cast<std::size_t>(buffers)));
  for (Slot& slot : slots_) slot.buffer = at::empty({bytes}, shards_[0].options());
}

GatheredLayers::Slot* GatheredLayers::find(int layer) {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.layer == layer; });
  return found == slots_.end() ? nullptr : &*found;
}

/// Into the buffer longest unused, but not that of `kept`.
GatheredLayers::Slot& GatheredLayers::start(int layer, const Slot* kept) {
  Slot* oldest = nullptr;
  for (Slot& slot : slots_)
    if (&slot != kept && (oldest == nullptr || slot.used < oldest->used))
      oldest = &slot;
  oldest->layer = layer;
  at::Tensor output = oldest->buffer.narrow(0, 0, layout(layer).gathered_bytes());
  oldest->pending = group_->_allgather_base(output, shards_[static_cast<std::size_t>(layer)]);
  ++gathers_;
  return *oldest;
}

at::Tensor GatheredLayers::get(int layer, int next) {
  if (group_->getSize() == 1)
    return shards_.at(static_cast<std::size_t>(layer));
  Slot* slot = find(layer);
  if (slot == nullptr)
    slot = &start(layer, nullptr);
  if (slot->pending)
    slot->pending->wait();
  slot->pending.reset();
  slot->used = clock_++;
  if (next >= 0 && find(next) == nullptr)
    start(next, slot);
  return slot->buffer.narrow(0, 0, layout(layer).gathered_bytes());
}

std::int64_t GatheredLayers::buffer_bytes() const {
  return slots_.empty() ? 0 : slots_[0].buffer.numel() * static_cast<std::int64_t>(slots_.size());
}

}  // namespace assay::kernels::fsdp
