// SPDX-License-Identifier: Apache-2.0
// Owners of what a step takes from the CUDA runtime.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace assay::kernels::compile {

/// One allocation, aligned to 256.
class DeviceMemory {
 public:
  /// Throws std::runtime_error that says how much was asked for and how much is free.
  explicit DeviceMemory(std::size_t bytes);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  std::byte* get() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_;
};

/// A stream that does not wait for the legacy one.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  cudaStream_t get() const { return stream_; }
  void wait() const;

 private:
  cudaStream_t stream_ = nullptr;
};

/// With timing.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  cudaEvent_t get() const { return event_; }
  void record(cudaStream_t stream) const;
  /// Both recorded; waits for `end`.
  static double milliseconds(const Event& begin, const Event& end);

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace assay::kernels::compile
