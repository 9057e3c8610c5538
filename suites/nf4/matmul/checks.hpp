// SPDX-License-Identifier: Apache-2.0
// Statements about nf4/matmul that are not one implementation on one case.
#pragma once

#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::nf4::matmul {

/// static_code: the skinny kernels as built use matrix instructions and no local memory.
/// single_kernel_launch: a skinny product is one kernel that allocates nothing.
std::vector<harness::Challenge::SuiteCheck> matmul_checks();

}  // namespace assay::suites::nf4::matmul
