// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/gpu_step.hpp"

namespace assay::testing {

using kernels::testing::DeviceBytes;

GpuStep::GpuStep(StepSetup setup, const FrozenWeights& weights)
    : step_(std::move(setup.program), {.compute = setup.compute,
                                       .longest_sequence = setup.longest_sequence,
                                       .chunk_rows = setup.chunk_rows,
                                       .loss_scaling = setup.loss_scaling,
                                       .program_cache = {},
                                       .fail_after_warm_up = setup.fail_after_warm_up}) {
  for (const auto& [name, bytes] : weights.dense) {
    Dense& made = dense_[name];
    made.host = bytes;
    made.device = std::make_unique<DeviceBytes>(bytes);
    step_.bind(name, made.device->get());
  }
  for (const auto& [name, w] : weights.packed) {
    Packed& made = packed_[name];
    made = {std::make_unique<DeviceBytes>(w.packed), std::make_unique<DeviceBytes>(w.absmax_codes),
            std::make_unique<DeviceBytes>(w.nested_absmax), std::make_unique<DeviceBytes>(w.nested_code),
            std::make_unique<DeviceBytes>(w.nested_offset)};
    kernels::nf4::PackedWeights packed;
    packed.packed = made.packed->as<std::uint8_t>(), packed.num_weights = 2 * std::ssize(w.packed);
    packed.absmax_codes = made.absmax_codes->as<std::uint8_t>();
    packed.nested_absmax = made.nested_absmax->as<float>();
    packed.nested_code = made.nested_code->as<float>();
    packed.nested_offset = made.nested_offset->as<float>();
    step_.bind(name, packed);
  }
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());  // the step's stream does not wait for copies on the legacy one
}

void GpuStep::move_weight(const std::string& name, bool tells) {
  Dense& weight = dense_.at(name);
  left_behind_.push_back(std::move(weight.device));
  weight.device = std::make_unique<DeviceBytes>(weight.host);
  ASSAY_CUDA_CHECK(cudaMemset(left_behind_.back()->get(), 0, weight.host.size()));
  ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  if (tells)
    step_.bind(name, weight.device->get());
}

std::unique_ptr<StepUnderTest> make_gpu_step(StepSetup setup, const FrozenWeights& weights) {
  return std::make_unique<GpuStep>(std::move(setup), weights);
}

}  // namespace assay::testing
