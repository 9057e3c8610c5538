// SPDX-License-Identifier: Apache-2.0
// The 256 values of the signed dynamic 8-bit code that nested quantization stores absmax in.
#pragma once

namespace assay::reference::nf4 {

/// bitsandbytes create_dynamic_map(signed=True, 7, 8): 256 values, ascending, with the bits torch 2.11 gives
/// it on a CPU.
void dynamic_map(float* code256);

}  // namespace assay::reference::nf4
