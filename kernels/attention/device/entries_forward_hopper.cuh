// SPDX-License-Identifier: Apache-2.0
// Entry point of the forward program's warpgroup kernel. The generated source before it has defined
// ForwardSetup.
#pragma once

#include "kernels/attention/device/forward_hopper.cuh"

namespace assay::kernels::attention::device {

extern "C" __global__ void __launch_bounds__(384, 1)
    assay_forward_hopper(const __grid_constant__ ForwardHopperParams p) {
  ForwardHopper<ForwardSetup>::run(p);
}

}  // namespace assay::kernels::attention::device
