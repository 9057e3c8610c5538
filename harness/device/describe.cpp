// SPDX-License-Identifier: Apache-2.0
// Facts about the GPU and the CPU, as records and `assay doctor` print them.
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include "harness/device/device.hpp"
#include "harness/device/host_facts.hpp"
#include "harness/device/nvml.hpp"

namespace assay::harness {
namespace {

std::string& torch_version() {
  static std::string version;
  return version;
}

std::string cuda_version(int number) {
  return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  ASSAY_HARNESS_CUDA(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

/// "580.159.04" from NVML; without it the CUDA version that the driver supports.
std::string driver_version() {
  if (const std::string version = nvml_driver_version(); !version.empty()) {
    return version;
  }
  int number = 0;
  ASSAY_HARNESS_CUDA(cudaDriverGetVersion(&number));
  return "CUDA " + cuda_version(number);
}

DeviceInfo describe_cpu() {
  const std::string cpuinfo = read_text("/proc/cpuinfo");
  utsname system = {};
  static_cast<void>(uname(&system));
  DeviceInfo info;
  info.kind = DeviceKind::kCpu;
  info.name = cpu_name_from(cpuinfo);
  info.arch = fmt::format("{}/{}", system.machine, vector_set_from(cpuinfo));
  info.memory_bytes = host_memory_bytes();
  info.l2_bytes = last_level_cache_bytes();
  info.cores = static_cast<int>(usable_cpus().size());
  info.torch = torch_version();
  return info;
}

DeviceInfo describe_gpu() {
  int device = 0, runtime = 0;
  ASSAY_HARNESS_CUDA(cudaGetDevice(&device));
  cudaDeviceProp properties;
  ASSAY_HARNESS_CUDA(cudaGetDeviceProperties(&properties, device));
  ASSAY_HARNESS_CUDA(cudaRuntimeGetVersion(&runtime));
  DeviceInfo info;
  info.kind = DeviceKind::kCuda;
  info.name = properties.name;
  info.sm = 10 * properties.major + properties.minor;
  info.arch = fmt::format("sm_{}", info.sm);
  ASSAY_HARNESS_CUDA(cudaGetDeviceCount(&info.count));
  info.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device);
  info.memory_bytes = properties.totalGlobalMem;
  info.l2_bytes = static_cast<std::size_t>(attribute(cudaDevAttrL2CacheSize, device));
  info.cores = static_cast<int>(usable_cpus().size());
  info.driver = driver_version();
  info.cuda_runtime = cuda_version(runtime);
  info.torch = torch_version();
  return info;
}

}  // namespace

DeviceFacts DeviceInfo::facts() const {
  return {kind, sm, memory_bytes, cores};
}

void set_torch_version(std::string version) {
  torch_version() = std::move(version);
}

DeviceInfo describe(DeviceKind kind) {
  if (kind == DeviceKind::kCpu) {
    return describe_cpu();
  }
  if (!cuda_available()) {
    throw std::runtime_error("cannot describe the GPU: " + cuda_unavailable_reason());
  }
  return describe_gpu();
}

}  // namespace assay::harness
