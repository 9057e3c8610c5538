// SPDX-License-Identifier: Apache-2.0
// The check `products_floor`: how much time and memory the fused cross entropy takes beside its matrix
// products.
#pragma once

#include "harness/core/challenge.hpp"

namespace assay::suites::backprop {

/// Times the fused path against the bare products of the same sizes (two where the head is frozen, else
/// three; each one whole torch product in the inputs' 16 bits), interleaved, in graph mode, at the four large
/// sizes. Evidence a size: `over_floor` and its interval, both times, workspace beyond dX, dW and one f32 sum
/// of dW. Throws where at N = 16384, H = 4096, V = 128256 the limits kMostOverFloor, kMostWorkspace… are
/// passed.
harness::Challenge::SuiteCheck products_floor_check();

}  // namespace assay::suites::backprop
