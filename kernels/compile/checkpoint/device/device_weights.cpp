// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/device/device_weights.hpp"

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::compile::checkpoint {

std::byte* DeviceWeights::allocate(std::size_t bytes) {
  return memory_.emplace_back(std::make_unique<DeviceMemory>(bytes))->get();
}

void DeviceWeights::copy(std::byte* to, const void* from, std::size_t bytes) {
  // From pageable memory: returns when the host's bytes have been read.
  ASSAY_CUDA_CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
  is_complete_ = false;
}

void DeviceWeights::wait() {
  if (!is_complete_)
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  is_complete_ = true;
}

std::size_t DeviceWeights::bytes() const {
  std::size_t bytes = 0;
  for (const auto& memory : memory_) bytes += memory->bytes();
  return bytes;
}

}  // namespace assay::kernels::compile::checkpoint
