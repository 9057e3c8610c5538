// SPDX-License-Identifier: Apache-2.0
// Inputs of a dequantize case: random bytes and plausible statistics, or the real weights the case carries.
#pragma once

#include "harness/core/challenge.hpp"

namespace assay::suites::nf4 {

/// On the CPU. Random cases: every code pair and absmax code equally likely, nested absmax in [0.005, 0.015),
/// offset in [0.03, 0.06), the dynamic map of the reference. Real cases: the stored tensors, rotated by whole
/// absmax blocks for seeds other than the case's own, so that no two sets of a rotation are alike.
harness::TensorSet make_inputs(const harness::Case& which, std::uint64_t seed);

}  // namespace assay::suites::nf4
