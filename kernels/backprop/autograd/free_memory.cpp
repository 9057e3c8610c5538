// SPDX-License-Identifier: Apache-2.0
#include "kernels/backprop/autograd/free_memory.hpp"

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <fstream>
#include <string>

namespace assay::kernels::backprop {
namespace {

std::int64_t available_host_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::int64_t kib = 0;
  while (file >> key >> kib) {
    if (key == "MemAvailable:")
      return kib * 1024;
    file.ignore(64, '\n');
  }
  return 0;
}

std::int64_t free_device_memory(c10::Device device) {
  const c10::cuda::CUDAGuard guard(device);
  std::size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return static_cast<std::int64_t>(free) + stats.reserved_bytes[kAll].current -
         stats.allocated_bytes[kAll].current;
}

}  // namespace

std::int64_t free_memory(c10::Device device) {
  return device.is_cuda() ? free_device_memory(device) : available_host_memory();
}

}  // namespace assay::kernels::backprop
