// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/device/device_memory.hpp"

#include <stdexcept>
#include <string>

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::compile {

DeviceMemory::DeviceMemory(std::size_t bytes) : bytes_(bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    std::size_t free = 0, total = 0;
    ASSAY_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    throw std::runtime_error("device step: expected room for " + std::to_string(bytes) +
                             " bytes on the device, found " + std::to_string(free) +
                             " free; keep less for backward, or take fewer tokens");
  }
  ASSAY_CUDA_CHECK(error);
  data_ = static_cast<std::byte*>(data);
}
DeviceMemory::~DeviceMemory() {
  cudaFree(data_);
}

Stream::Stream() {
  ASSAY_CUDA_CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
}
Stream::~Stream() {
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}
void Stream::wait() const {
  ASSAY_CUDA_CHECK(cudaStreamSynchronize(stream_));
}

Event::Event() {
  ASSAY_CUDA_CHECK(cudaEventCreate(&event_));
}
Event::~Event() {
  cudaEventDestroy(event_);
}
void Event::record(cudaStream_t stream) const {
  ASSAY_CUDA_CHECK(cudaEventRecord(event_, stream));
}
double Event::milliseconds(const Event& begin, const Event& end) {
  ASSAY_CUDA_CHECK(cudaEventSynchronize(end.event_));
  float ms = 0.0f;
  ASSAY_CUDA_CHECK(cudaEventElapsedTime(&ms, begin.event_, end.event_));
  return ms;
}

}  // namespace assay::kernels::compile
