// SPDX-License-Identifier: Apache-2.0
// The synthetic work that noise is measured on, and that tests plant slowdowns in.
#pragma once

#include <vector>

#include "harness/device/device.hpp"
#include "harness/measure/measure.hpp"

namespace assay::harness {

/// CPU: one core adds up 1 KiB of floats `rounds` times (about 0.4 µs a round). CUDA: copies 32 MiB times
/// `rounds` / 100. Rounds are the unit a slowdown is planted in: 103 against 100 is 3 % more of the same
/// work. Rotated as real cases are.
class SyntheticWork {
 public:
  static constexpr int kUsualRounds = 100, kMostRounds = 110;

  explicit SyntheticWork(const DeviceInfo& device);
  Prepared prepare(int rounds) const;

 private:
  DeviceKind kind_;
  std::vector<DeviceBuffer> sources_, targets_;
};

}  // namespace assay::harness
