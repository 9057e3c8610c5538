// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/selection.hpp"

#include "harness/device/device.hpp"

namespace assay::harness::cli {

std::vector<DeviceKind> devices_of(const Common& common) {
  if (common.device == "cpu")
    return {DeviceKind::kCpu};
  if (common.device == "auto")
    return {cuda_available() ? DeviceKind::kCuda : DeviceKind::kCpu};
  if (!cuda_available()) {
    throw UsageError("--device " + common.device + " needs a GPU: " + cuda_unavailable_reason());
  }
  if (common.device == "cuda")
    return {DeviceKind::kCuda};
  return {DeviceKind::kCuda, DeviceKind::kCpu};
}

RunOptions options_of(const Common& common) {
  RunOptions options;
  options.filters = common.filters;
  options.devices = devices_of(common);
  options.quick = common.quick;
  options.command = common.command;
  return options;
}

}  // namespace assay::harness::cli
