// SPDX-License-Identifier: Apache-2.0
// Frozen weights and adapters for a step whose numbers do not matter, only their order of size.
#pragma once

#include <memory>

#include "kernels/compile/device/device_memory.hpp"
#include "kernels/compile/device/device_step.hpp"

namespace assay::kernels::compile::bench {

/// Makes every frozen buffer of the step's list on the device, in one allocation that the result owns, and
/// binds it: matrices of the order of 0.02, norms near 1, random NF4 codes with absmax of 0.02 to 0.06,
/// frequencies of `rope_theta`. Waits for the device.
std::unique_ptr<DeviceMemory> bind_random_weights(DeviceStep& step, double rope_theta);

/// A of the order of 1/√inputs, B zero, as training begins.
void set_random_adapters(DeviceStep& step);

}  // namespace assay::kernels::compile::bench
