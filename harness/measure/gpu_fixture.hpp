// SPDX-License-Identifier: Apache-2.0
// Fixture of this room's GPU tests: skips them, with the reason, where there is no GPU.
#pragma once

#include <gtest/gtest.h>

#include "harness/measure/measure.hpp"

namespace assay::harness {

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) {
      GTEST_SKIP() << cuda_unavailable_reason();
    }
    device_ = describe(DeviceKind::kCuda);
  }

  static MeasureOptions quick() {
    MeasureOptions options;
    options.min_pairs = options.max_pairs = 24;
    options.budget_seconds = 20.0;
    return options;
  }

  DeviceInfo device_;
};

}  // namespace assay::harness
