// SPDX-License-Identifier: Apache-2.0
// Entry points that make block masks. The generated source before it has defined Setup.
#pragma once

#include "kernels/attention/device/block_mask.cuh"

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

}  // namespace assay::kernels::attention::device
