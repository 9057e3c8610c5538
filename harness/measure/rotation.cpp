// SPDX-License-Identifier: Apache-2.0
// How many sets a rotation needs.
#include "harness/measure/rotation.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "harness/measure/measure.hpp"

namespace assay::harness {
namespace {

/// "MemAvailable" of /proc/meminfo, in kB there; the machine's whole memory where the kernel does not tell.
std::size_t available_host_bytes(const DeviceInfo& device) {
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  for (std::size_t kilobytes = 0; meminfo >> key >> kilobytes;) {
    if (key == "MemAvailable:") {
      return kilobytes * 1024;
    }
    std::getline(meminfo, unit);
  }
  return device.memory_bytes;
}

}  // namespace

std::size_t free_bytes(const DeviceInfo& device) {
  if (device.kind == DeviceKind::kCpu) {
    return available_host_bytes(device);
  }
  std::size_t free = 0, total = 0;
  ASSAY_HARNESS_CUDA(cudaMemGetInfo(&free, &total));
  return free;
}

int sets_for(std::size_t bytes_per_set, std::size_t cache_bytes, std::size_t free_bytes) {
  constexpr std::size_t kLeast = 2, kMost = 64;
  constexpr std::size_t kAssumedCache = std::size_t{32} << 20;  // where the machine hides its caches
  const std::size_t bytes = std::max<std::size_t>(bytes_per_set, 1);
  const std::size_t cache = cache_bytes > 0 ? cache_bytes : kAssumedCache;
  const std::size_t past_cache = 3 * cache / bytes + 1;
  const std::size_t fit = free_bytes / 5 * 2 / bytes;
  return static_cast<int>(std::max(kLeast, std::min({past_cache, fit, kMost})));
}

int rotation_count(std::size_t bytes_per_set, const DeviceInfo& device) {
  return sets_for(bytes_per_set, device.l2_bytes, free_bytes(device));
}

}  // namespace assay::harness
