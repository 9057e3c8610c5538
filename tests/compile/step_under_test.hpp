// SPDX-License-Identifier: Apache-2.0
// A step that is held against the eager one, wherever it runs: on the host through HostKernels, or on a GPU.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/compile/device/step_inputs.hpp"
#include "kernels/compile/program.hpp"

namespace assay::testing {

/// A packed weight's arrays on the host.
struct HostPacked {
  std::vector<std::uint8_t> packed, absmax_codes;
  std::vector<float> nested_absmax, nested_code, nested_offset;
};

struct FrozenWeights {
  std::map<std::string, std::vector<std::byte>> dense;
  std::map<std::string, HostPacked> packed;
};

struct StepSetup {
  kernels::compile::Program program;
  kernels::compile::ComputeType compute = kernels::compile::ComputeType::kBfloat16;
  std::int64_t longest_sequence = 0, chunk_rows = 0;
  bool fail_after_warm_up = true;
  kernels::compile::LossScaling loss_scaling = {};
};

class StepUnderTest {
 public:
  virtual ~StepUnderTest() = default;
  virtual void set(const std::string& name, std::span<const float> values) = 0;
  virtual std::vector<float> get(const std::string& name) = 0;
  virtual void load(const kernels::compile::StepInputs& inputs) = 0;
  virtual void run() = 0;
};

/// Makes a step whose frozen weights are bound.
using MakeStep = std::function<std::unique_ptr<StepUnderTest>(StepSetup setup, const FrozenWeights& weights)>;

std::unique_ptr<StepUnderTest> make_host_step(StepSetup setup, const FrozenWeights& weights);
/// The same whose kernels leave what attention did not write.
std::unique_ptr<StepUnderTest> make_host_step_without_clearing(StepSetup setup, const FrozenWeights& weights);

}  // namespace assay::testing
