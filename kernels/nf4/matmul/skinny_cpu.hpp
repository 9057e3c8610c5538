// SPDX-License-Identifier: Apache-2.0
// The skinny product on the CPU: one SIMD source compiled for every instruction set, chosen once at run time.
// Shapes: x [M, K], W [N, K] in 4 bits, y [M, N], bias [N]; M from 0 to 16.
#pragma once

#include <string>
#include <vector>

#include "kernels/nf4/matmul/skinny.hpp"

namespace assay::kernels::nf4 {

/// Host pointers. Any K, any block size, f16, bf16 and f32; weights are not rounded to 16 bits, sums are f32,
/// each result is rounded once. `num_threads` 0: one per core; bits do not depend on their number. m or n of
/// 0 does nothing; k = 0 gives bias, or 0. Throws std::invalid_argument for bad arguments.
void skinny_linear_cpu(const SkinnyArgs& args, int num_threads = 0);

/// Names of the instruction sets this machine can run, best first, and a way to pin one (tests run all of
/// them).
std::vector<std::string> skinny_cpu_instruction_sets();
void skinny_linear_cpu_on(const std::string& instruction_set, const SkinnyArgs& args, int num_threads = 0);

}  // namespace assay::kernels::nf4
