// SPDX-License-Identifier: Apache-2.0
// Which ceilings exist on which device.
#include "harness/measure/ceilings.hpp"

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

}  // namespace assay::harness
