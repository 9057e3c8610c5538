// SPDX-License-Identifier: Apache-2.0
// Which ceilings exist on which device.
#include "harness/measure/ceilings.hpp"

#include <algorithm>

namespace assay::harness {

Ceilings measure_ceilings(const DeviceInfo& device) {
  if (device.kind == DeviceKind::kCpu) {
    return measure_cpu_ceilings(device);
  }
  if (!cuda_available()) {
    throw Skip("no CUDA ceilings on this machine: " + cuda_unavailable_reason());
  }
  return measure_cuda_ceilings(device);
}

Ceilings highest(const Ceilings& first, const Ceilings& second) {
  Ceilings out = first;
  out.copy_gbps = std::max(first.copy_gbps, second.copy_gbps);
  out.fill_gbps = std::max(first.fill_gbps, second.fill_gbps);
  // An empty optional is less than any value.
  out.matmul_bf16_tflops = std::max(first.matmul_bf16_tflops, second.matmul_bf16_tflops);
  out.matmul_f16_tflops = std::max(first.matmul_f16_tflops, second.matmul_f16_tflops);
  return out;
}

}  // namespace assay::harness
