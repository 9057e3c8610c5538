// SPDX-License-Identifier: Apache-2.0
// Entry point of the forward program's mma.sync kernel. The generated source before it has defined
// ForwardSetup.
#pragma once

#include "kernels/attention/device/forward.cuh"

namespace assay::kernels::attention::device {

extern "C" __global__ void __launch_bounds__(32 * ForwardSetup::kWarps,
                                             ForwardSetup::kBlocksPerMultiprocessor)
    assay_forward(const __grid_constant__ ForwardParams p) {
  Forward<ForwardSetup>::run(p);
}

}  // namespace assay::kernels::attention::device
