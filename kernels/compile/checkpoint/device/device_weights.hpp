// SPDX-License-Identifier: Apache-2.0
// A step's frozen weights in device memory of their own.
#pragma once

#include <memory>
#include <vector>

#include "kernels/compile/checkpoint/device/placed_weights.hpp"
#include "kernels/compile/device/device_memory.hpp"
#include "kernels/compile/device/device_step.hpp"

namespace assay::kernels::compile::checkpoint {

/// Allocates on the current device when it is made, for all frozen buffers of `step`, which it binds them to
/// as they come. Must live as long as the step runs. Throws as DeviceMemory and DeviceStep::bind do.
class DeviceWeights final : WeightOwner {
 public:
  explicit DeviceWeights(DeviceStep& step) : step_(step), sink_(step.plan().program(), *this) {}

  WeightSink& sink() { return sink_; }
  /// Until all that was copied is there; the step's stream does not wait for it. Call it before a run.
  void wait();
  std::size_t bytes() const;

 private:
  std::byte* allocate(std::size_t bytes) override;
  void copy(std::byte* to, const void* from, std::size_t bytes) override;
  void bind(const std::string& name, const void* data) override { step_.bind(name, data); }
  void bind(const std::string& name, const nf4::PackedWeights& weights) override {
    step_.bind(name, weights);
  }
  void set(const std::string& name, std::span<const float> adapter) override { step_.set(name, adapter); }

  DeviceStep& step_;
  std::vector<std::unique_ptr<DeviceMemory>> memory_;
  PlacedWeights sink_;
  bool is_complete_ = true;
};

}  // namespace assay::kernels::compile::checkpoint
