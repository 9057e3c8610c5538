// SPDX-License-Identifier: Apache-2.0
// Statements about nf4/dequantize that are not one implementation on one case.
#pragma once

#include <vector>

#include "harness/core/challenge.hpp"

namespace assay::suites::nf4 {

/// tables_agree, single_kernel_launch, static_code, quantizer_bits, ptx_effect, cache_policy_effect,
/// baseline_fidelity, torch_compile.
std::vector<harness::Challenge::SuiteCheck> dequantize_checks();

}  // namespace assay::suites::nf4
