// SPDX-License-Identifier: Apache-2.0
// Watches the GPU's clock and its reasons for slowing down while samples are taken. It only tells: a sample
// taken while the clock moved stays in the data, because pairs are adjacent in time and dropping some would
// hide what happened.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/device/device.hpp"

namespace assay::harness {

class ClockWatch {
 public:
  using Reader = std::function<std::optional<ClockState>()>;

  /// The device's own reader: NVML on CUDA, nothing on the CPU.
  explicit ClockWatch(DeviceKind kind);
  explicit ClockWatch(Reader reader) : reader_(std::move(reader)) {}

  void observe();
  /// What was seen, in words; empty when the SM clock stayed within 3 % and nothing suspicious held it back.
  std::vector<std::string> notes() const;

 private:
  Reader reader_;
  std::vector<ClockState> seen_;
};

}  // namespace assay::harness
