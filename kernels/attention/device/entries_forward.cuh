// SPDX-License-Identifier: Apache-2.0
// Entry points of the program that makes block masks and runs forward. The generated source before it has
// defined Setup.
#pragma once

#include "kernels/attention/device/block_mask.cuh"
#include "kernels/attention/device/forward.cuh"

namespace assay::kernels::attention::device {

extern "C" __global__ void assay_find_places(const __grid_constant__ Problem p) {
  find_places(p);
}
extern "C" __global__ void assay_find_state(const __grid_constant__ Problem p) {
  find_state<Setup>(p);
}
extern "C" __global__ void assay_make_list(const __grid_constant__ Problem p) {
  make_list(p);
}
extern "C" __global__ void __launch_bounds__(32 * ForwardSetup::kWarps,
                                             ForwardSetup::kBlocksPerMultiprocessor)
    assay_forward(const __grid_constant__ ForwardParams p) {
  Forward<ForwardSetup>::run(p);
}

}  // namespace assay::kernels::attention::device
