// SPDX-License-Identifier: Apache-2.0
// f32 on the host as the bits of 16-bit elements, and back.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/compile/device/types.hpp"

namespace assay::kernels::compile {

/// To nearest even. Throws std::invalid_argument for f32.
std::uint16_t rounded(float value, ComputeType type);
std::vector<std::uint16_t> rounded(std::span<const float> values, ComputeType type);
float widened(std::uint16_t bits, ComputeType type);

}  // namespace assay::kernels::compile
