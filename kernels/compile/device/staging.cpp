// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/staging.hpp"

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::compile {

Staging::Staging(std::size_t slot_bytes) : slot_bytes_(slot_bytes) {
  void* memory = nullptr;
  ASSAY_CUDA_CHECK(cudaMallocHost(&memory, kSlots * slot_bytes));
  memory_ = static_cast<std::byte*>(memory);
  for (cudaEvent_t& event : sent_) ASSAY_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
}

Staging::~Staging() {
  for (const cudaEvent_t event : sent_) {
    if (event == nullptr)
      continue;
    cudaEventSynchronize(event);
    cudaEventDestroy(event);
  }
  cudaFreeHost(memory_);
}

std::byte* Staging::take(bool& waited) {
  slot_ = (slot_ + 1) % kSlots;
  const cudaError_t state = cudaEventQuery(sent_[slot_]);  // an event that was never recorded is done
  waited = state == cudaErrorNotReady;
  if (waited) {
    static_cast<void>(cudaGetLastError());  // "not ready" would be the next launch's error
    ASSAY_CUDA_CHECK(cudaEventSynchronize(sent_[slot_]));
  } else {
    ASSAY_CUDA_CHECK(state);
  }
  return memory_ + slot_ * slot_bytes_;
}

void Staging::send(void* device, cudaStream_t stream) {
  ASSAY_CUDA_CHECK(
      cudaMemcpyAsync(device, memory_ + slot_ * slot_bytes_, slot_bytes_, cudaMemcpyHostToDevice, stream));
  ASSAY_CUDA_CHECK(cudaEventRecord(sent_[slot_], stream));
}

}  // namespace assay::kernels::compile
