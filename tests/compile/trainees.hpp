// SPDX-License-Identifier: Apache-2.0
// Steps that train without a GPU: the eager one, and the device's list walked on the host.
#pragma once

#include <memory>

#include "kernels/compile/checkpoint/device/training.hpp"

namespace assay::testing {

/// Any type, f32 too. Inputs must fill the step's tokens: the eager step does not clear rows that attention
/// leaves out.
std::unique_ptr<kernels::compile::checkpoint::Trainee> make_eager_trainee(
    const kernels::compile::checkpoint::StepCheckpoint& checkpoint, kernels::compile::ComputeType compute);

/// f16 or bf16; its weights are placed as on a device.
std::unique_ptr<kernels::compile::checkpoint::Trainee> make_host_trainee(
    const kernels::compile::checkpoint::StepCheckpoint& checkpoint, kernels::compile::ComputeType compute);

}  // namespace assay::testing
