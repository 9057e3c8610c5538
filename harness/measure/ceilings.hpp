// SPDX-License-Identifier: Apache-2.0
// The parts of measure_ceilings, one a kind of machine.
#pragma once

#include <optional>

#include "harness/measure/measure.hpp"

namespace assay::harness {

/// All cores at once over buffers of at least four times the last-level cache, random-filled. The best of
/// several passes: neighbours on a shared machine only ever slow one down, and a ceiling that is too low
/// makes honest candidates implausible. Takes under two seconds.
Ceilings measure_cpu_ceilings(const DeviceInfo& device);

/// Random-filled buffers of 1 GiB (less where memory is short); medians of device times.
Ceilings measure_cuda_ceilings(const DeviceInfo& device);

enum class MatmulType { kBfloat16, kFloat16 };
/// cuBLASLt, f32 accumulation, 8192³ (less where memory is short), the best of its proposed algorithms.
/// nullopt where the device has no matrix unit for the type.
std::optional<double> measure_matmul_tflops(const DeviceInfo& device, MatmulType type);

}  // namespace assay::harness
