// SPDX-License-Identifier: Apache-2.0
// 4-bit weights to f16, bf16 or f32 on the CPU: one SIMD source compiled for every instruction set, chosen
// once at run time.
#pragma once

#include <string>
#include <vector>

#include "kernels/nf4/format.hpp"

namespace assay::kernels::nf4 {

/// Writes [num_weights] of `out_type` to `out` (aligned to its element); host pointers. `num_threads` 0: one
/// per core. Bit-exact to format.hpp's formula for any length, also for NaN and infinite absmax. Throws
/// std::invalid_argument.
void dequantize_cpu(const PackedWeights& weights, void* out, ScalarType out_type, int num_threads = 0);

/// Names of the instruction sets this machine can run, best first, and a way to pin one (tests run all of
/// them).
std::vector<std::string> cpu_instruction_sets();
void dequantize_cpu_on(const std::string& instruction_set, const PackedWeights& weights, void* out,
                       ScalarType out_type, int num_threads = 0);

}  // namespace assay::kernels::nf4
