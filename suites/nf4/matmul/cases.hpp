// SPDX-License-Identifier: Apache-2.0
// The one table of products that verification and timing both read.
#pragma once

#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::nf4::matmul {

/// The seven linears of Llama 1B, 8B and 70B with 1 to 8192 rows of x, blocks of 128 beside those of 64, and
/// small products with tails of rows, columns and K. What a default run leaves out is on request.
std::vector<harness::Case> matmul_cases();

}  // namespace assay::suites::nf4::matmul
