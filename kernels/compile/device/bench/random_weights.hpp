// SPDX-License-Identifier: Apache-2.0
// Frozen weights and adapters for a step whose numbers do not matter, only their order of size.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/compile/device/bench/random_fill.hpp"
#include "kernels/compile/device/device_memory.hpp"
#include "kernels/compile/device/device_step.hpp"

namespace assay::kernels::compile::bench {

/// What the weights are made of, by random_fill.hpp's numbers from the buffer's own seed: whoever knows these
/// can make the same weights.
inline constexpr Uniform kMatrixNumbers{-0.035f, 0.035f}, kNormNumbers{0.9f, 1.1f},
    kNestedAbsmaxNumbers{0.015f, 0.02f};
inline constexpr float kNestedOffset = 0.04f;
inline constexpr std::uint32_t kAbsmaxSeedStep =
    0x10000;  ///< from a packed weight's seed to its absmax codes'

/// Of every frozen buffer and every adapter by its name.
std::map<std::string, std::uint32_t> seeds_of(const Program& program);

/// Makes every frozen buffer of the step's list on the device, in one allocation that the result owns, and
/// binds it: matrices of the order of 0.02, norms near 1, random NF4 codes with absmax of 0.02 to 0.06 under
/// bitsandbytes' dynamic map, frequencies of `rope_theta`. Waits for the device.
std::unique_ptr<DeviceMemory> bind_random_weights(DeviceStep& step, double rope_theta);

/// An adapter as training begins: A uniform within 1/√inputs of 0, B zero.
std::vector<float> random_adapter(const Buffer& buffer, std::uint32_t seed);
/// All of the step's.
void set_random_adapters(DeviceStep& step);

}  // namespace assay::kernels::compile::bench
