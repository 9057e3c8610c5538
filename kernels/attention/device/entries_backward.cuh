// SPDX-License-Identifier: Apache-2.0
// Entry points that every backward program has. The generated source before it has defined Setup.
#pragma once

#include "kernels/attention/device/backward_delta.cuh"

namespace assay::kernels::attention::device {

extern "C" __global__ void assay_find_delta(const __grid_constant__ BackwardParams p) {
  find_delta<Setup>(p);
}
/// Fixed point back to f32, added to what did not fit (else 0).
extern "C" __global__ void assay_unfix(const unsigned long long* from, float* to, long long count,
                                       float one) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count)
    to[i] += from_fixed(from[i], one);
}

}  // namespace assay::kernels::attention::device
