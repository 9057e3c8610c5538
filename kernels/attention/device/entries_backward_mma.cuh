// SPDX-License-Identifier: Apache-2.0
// Entry points of the backward program's mma.sync kernels. The generated source before it has defined the
// setups.
#pragma once

#include "kernels/attention/device/backward_keys.cuh"
#include "kernels/attention/device/backward_queries.cuh"

namespace assay::kernels::attention::device {

extern "C" __global__ void __launch_bounds__(32 * KeysSetup::kWarps, KeysSetup::kBlocksPerMultiprocessor)
    assay_backward_keys(const __grid_constant__ BackwardParams p) {
  BackwardKeys<KeysSetup>::run(p);
}
extern "C" __global__ void __launch_bounds__(32 * QueriesSetup::kWarps,
                                             QueriesSetup::kBlocksPerMultiprocessor)
    assay_backward_queries(const __grid_constant__ BackwardParams p) {
  BackwardQueries<QueriesSetup>::run(p);
}

}  // namespace assay::kernels::attention::device
