// SPDX-License-Identifier: Apache-2.0
// For tests on the GPU: is there one, and device memory that frees itself.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <vector>

#include "kernels/common/cuda_check.hpp"

namespace assay::kernels::testing {

inline bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

/// A device copy of host bytes, aligned to 256.
class DeviceBytes {
 public:
  DeviceBytes(const void* host, std::size_t bytes) : bytes_(bytes) {
    ASSAY_CUDA_CHECK(cudaMalloc(&data_, bytes + 1));
    if (host != nullptr && bytes > 0)
      ASSAY_CUDA_CHECK(cudaMemcpy(data_, host, bytes, cudaMemcpyHostToDevice));
  }
  template <class T>
  explicit DeviceBytes(const std::vector<T>& values)
      : DeviceBytes(values.data(), values.size() * sizeof(T)) {}
  ~DeviceBytes() { cudaFree(data_); }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;

  std::byte* get() const { return static_cast<std::byte*>(data_); }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  void copy_to(void* host) const {
    ASSAY_CUDA_CHECK(cudaMemcpy(host, data_, bytes_, cudaMemcpyDeviceToHost));
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

}  // namespace assay::kernels::testing
