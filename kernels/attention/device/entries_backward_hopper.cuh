// SPDX-License-Identifier: Apache-2.0
// Entry points of the backward program's warpgroup kernels. The generated source before it has defined the
// setups.
#pragma once

#include "kernels/attention/device/backward_keys_hopper.cuh"
#include "kernels/attention/device/backward_queries_hopper.cuh"

namespace assay::kernels::attention::device {

extern "C" __global__ void __launch_bounds__(384, 1)
    assay_backward_keys_hopper(const __grid_constant__ BackwardHopperParams p) {
  BackwardKeysHopper<KeysSetup>::run(p);
}
extern "C" __global__ void __launch_bounds__(384, 1)
    assay_backward_queries_hopper(const __grid_constant__ BackwardHopperParams p) {
  BackwardQueriesHopper<QueriesSetup>::run(p);
}

}  // namespace assay::kernels::attention::device
