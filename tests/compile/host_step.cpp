// SPDX-License-Identifier: Apache-2.0
// A step in host memory: the plan, the inputs and the walk of the device, with kernels of the host.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <set>
#include <stdexcept>

#include "kernels/compile/device/rounding.hpp"
#include "kernels/compile/device/walk.hpp"
#include "tests/compile/host_kernels.hpp"
#include "tests/compile/step_under_test.hpp"

namespace assay::testing {
namespace {

using namespace kernels::compile;  // NOLINT: whose step this is

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

class HostStep final : public StepUnderTest {
 public:
  HostStep(StepSetup setup, FrozenWeights weights, std::unique_ptr<HostKernels> kernels)
      : weights_(std::move(weights)),
        plan_(std::move(setup.program), {.compute = setup.compute,
                                         .longest_sequence = setup.longest_sequence,
                                         .chunk_rows = setup.chunk_rows,
                                         .loss_scaling = setup.loss_scaling}),
        memory_(static_cast<std::byte*>(std::aligned_alloc(256, plan_.layout().bytes))),
        kernels_(std::move(kernels)) {
    if (memory_ == nullptr)
      throw std::bad_alloc();
    const StepLayout& layout = plan_.layout();
    std::memset(memory_.get(), 0xff, layout.arena_bytes);  // NaN in every type, as on a device
    std::memset(memory_.get() + layout.state, 0, layout.bytes - layout.state);
    plan_.place(memory_.get());
    for (const auto& [name, bytes] : weights_.dense) plan_.bind(name, bytes.data());
    for (const auto& [name, w] : weights_.packed) {
      kernels::nf4::PackedWeights packed;
      packed.packed = w.packed.data();
      packed.num_weights = 2 * std::ssize(w.packed);
      packed.absmax_codes = w.absmax_codes.data(), packed.nested_absmax = w.nested_absmax.data();
      packed.nested_code = w.nested_code.data(), packed.nested_offset = w.nested_offset.data();
      plan_.bind(name, packed);
    }
    plan_.check_bound();
    for (const Buffer& buffer : plan_.program().buffers)
      if (buffer.role == Role::kAdapter)
        adapters_.insert(buffer.name);
  }

  void set(const std::string& name, std::span<const float> values) override {
    std::ranges::copy(values, floats(name));
    if (!adapters_.contains(name))
      return;
    const std::vector<std::uint16_t> copy = rounded(values, plan_.options().compute);
    std::ranges::copy(copy, reinterpret_cast<std::uint16_t*>(floats(name + ".copy")));
  }
  std::vector<float> get(const std::string& name) override {
    const Program& program = plan_.program();
    const Buffer& buffer = program.buffers[static_cast<std::size_t>(program.find(name))];
    return {floats(name), floats(name) + element_count(buffer)};
  }
  void load(const StepInputs& inputs) override {
    check(inputs, capacity_of(plan_));
    pack(inputs, plan_, memory_.get() + plan_.layout().inputs);
  }
  void run() override { walk(plan_, *kernels_, WalkPart::kWhole); }

 private:
  float* floats(const std::string& name) {
    return reinterpret_cast<float*>(
        memory_.get() + plan_.layout().offsets[static_cast<std::size_t>(plan_.program().find(name))]);
  }

  FrozenWeights weights_;
  StepPlan plan_;
  std::unique_ptr<std::byte, Free> memory_;
  std::unique_ptr<HostKernels> kernels_;
  std::set<std::string> adapters_;
};

/// A planted fault: rows behind the last sequence stay as they were.
class WithoutClearing final : public HostKernels {
 public:
  using HostKernels::HostKernels;
  void clear_rows(const ClearRows&) override {}
};

}  // namespace

std::unique_ptr<StepUnderTest> make_host_step(StepSetup setup, const FrozenWeights& weights) {
  auto kernels = std::make_unique<HostKernels>(setup.compute);
  return std::make_unique<HostStep>(std::move(setup), weights, std::move(kernels));
}

std::unique_ptr<StepUnderTest> make_host_step_without_clearing(StepSetup setup,
                                                               const FrozenWeights& weights) {
  auto kernels = std::make_unique<WithoutClearing>(setup.compute);
  return std::make_unique<HostStep>(std::move(setup), weights, std::move(kernels));
}

}  // namespace assay::testing
