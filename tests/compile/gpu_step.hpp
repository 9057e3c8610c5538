// SPDX-License-Identifier: Apache-2.0
// A DeviceStep with its frozen weights in device memory of the test's own.
#pragma once

#include <map>
#include <memory>

#include "kernels/common/device_bytes_test.hpp"
#include "kernels/compile/device/device_step.hpp"
#include "tests/compile/step_under_test.hpp"

namespace assay::testing {

class GpuStep final : public StepUnderTest {
 public:
  GpuStep(StepSetup setup, const FrozenWeights& weights);

  void set(const std::string& name, std::span<const float> values) override { step_.set(name, values); }
  std::vector<float> get(const std::string& name) override { return step_.get(name); }
  void load(const kernels::compile::StepInputs& inputs) override { step_.load(inputs); }
  void run() override { step_.run(); }

  kernels::compile::DeviceStep& step() { return step_; }
  /// A dense weight goes to other memory and zeros are left behind; `tells` the step, or does not.
  void move_weight(const std::string& name, bool tells);

 private:
  struct Dense {
    std::vector<std::byte> host;
    std::unique_ptr<kernels::testing::DeviceBytes> device;
  };
  struct Packed {
    std::unique_ptr<kernels::testing::DeviceBytes> packed, absmax_codes, nested_absmax, nested_code,
        nested_offset;
  };
  // The step goes first: its graph reads the weights.
  std::map<std::string, Dense> dense_;
  std::map<std::string, Packed> packed_;
  std::vector<std::unique_ptr<kernels::testing::DeviceBytes>> left_behind_;
  kernels::compile::DeviceStep step_;
};

std::unique_ptr<StepUnderTest> make_gpu_step(StepSetup setup, const FrozenWeights& weights);

}  // namespace assay::testing
