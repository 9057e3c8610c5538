// SPDX-License-Identifier: Apache-2.0
// Entry points of the program that runs backward. The generated source before it has defined the setups.
#pragma once

#include "kernels/attention/device/backward_delta.cuh"
#include "kernels/attention/device/backward_keys.cuh"
#include "kernels/attention/device/backward_queries.cuh"

namespace assay::kernels::attention::device {

extern "C" __global__ void assay_find_delta(const __grid_constant__ BackwardParams p) {
  find_delta<Setup>(p);
}
extern "C" __global__ void __launch_bounds__(32 * KeysSetup::kWarps, KeysSetup::kBlocksPerMultiprocessor)
    assay_backward_keys(const __grid_constant__ BackwardParams p) {
  BackwardKeys<KeysSetup>::run(p);
}
extern "C" __global__ void __launch_bounds__(32 * QueriesSetup::kWarps,
                                             QueriesSetup::kBlocksPerMultiprocessor)
    assay_backward_queries(const __grid_constant__ BackwardParams p) {
  BackwardQueries<QueriesSetup>::run(p);
}
/// Fixed point back to f32, added to what did not fit (else 0).
extern "C" __global__ void assay_unfix(const unsigned long long* from, float* to, long long count,
                                       float one) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count)
    to[i] += from_fixed(from[i], one);
}

}  // namespace assay::kernels::attention::device
