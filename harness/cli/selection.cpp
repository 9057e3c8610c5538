// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/selection.hpp"

#include <filesystem>

#include "harness/core/registry.hpp"
#include "harness/device/device.hpp"
#include "harness/door/isolate.hpp"

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

const std::vector<Challenge>& challenges_for(const Common& common, RunOptions& options,
                                             std::vector<Challenge>& made) {
  const std::vector<Challenge>& own = Registry::instance().challenges();
  if (common.candidate.empty() && !common.isolate) {
    if (common.time_limit_s || common.memory_limit_mib)
      throw UsageError("--time-limit and --memory-limit are of --candidate or --isolate, found neither");
    return own;
  }
  door::Options how;
  how.limits.answer_s = common.time_limit_s.value_or(how.limits.answer_s);
  if (common.memory_limit_mib)
    how.limits.memory_bytes = *common.memory_limit_mib << 20;
  how.weights = common.weights.empty() ? "" : std::filesystem::absolute(common.weights).string();
  if (common.candidate.empty()) {
    made = door::all_isolated(own, how);
    return made;
  }
  made = door::with_candidate(own, door::parse_candidate(common.candidate),
                              {options.filters, options.devices, options.quick, options.measure}, how);
  options.filters.clear();
  return made;
}

}  // namespace assay::harness::cli
