// SPDX-License-Identifier: Apache-2.0
// The check `products_floor`: how much time and memory the fused cross entropy takes beside its matrix
// products.
#pragma once

#include "harness/core/challenge.hpp"

namespace assay::suites::backprop {

/// Times the fused path at the four large sizes, interleaved and in graph mode, against (a) the bare products
/// of the same sizes (two where the head is frozen, else three; each one whole product into the inputs' 16
/// bits, by torch's choice of kernels and by the fastest of cuBLASLt's proposals: the faster counts), and (b)
/// the plain layer under torch.compile, where Python has it. Evidence a size: `over_floor` and its interval,
/// both times, workspace beyond dX, dW and one f32 sum of dW, `torch_compile` with the speedup over it.
/// Throws where at N = 16384, H = 4096, V = 128256 the limits kMostOverFloor, kMostWorkspace… are passed, and
/// where the lower bound of the speedup over torch.compile is not above 1 at any size.
harness::Challenge::SuiteCheck products_floor_check();

}  // namespace assay::suites::backprop
