// SPDX-License-Identifier: Apache-2.0
// From arguments to what the device code takes: shared by the launcher and the tests on an emulated machine.
#pragma once

#include "kernels/nf4/matmul/skinny.hpp"
#include "kernels/nf4/matmul/skinny_params.hpp"

namespace assay::kernels::nf4 {

/// Strides filled in. Throws std::invalid_argument saying what was expected and found.
SkinnyArgs checked(const SkinnyArgs& args);

/// Of checked arguments.
SkinnyProblem problem_of(const SkinnyArgs& args, int sm, int multiprocessors);
device::SkinnyParams params_of(const SkinnyArgs& args);

/// Codes are multiplied by it before they are rounded to 16 bits and sums divided by it, so that rounding
/// costs least.
float table_scale(Codebook codebook, ScalarType type);

/// Throws std::invalid_argument where no kernel was built for the configuration, or it cannot run the
/// problem.
void check(const SkinnyConfig& config, const SkinnyProblem& problem);

}  // namespace assay::kernels::nf4
