// SPDX-License-Identifier: Apache-2.0
// Pinned host memory that inputs wait in while they are copied to the device.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>

namespace assay::kernels::compile {

/// A ring of slots: the host may run as many copies ahead of the device before it has to wait.
class Staging {
 public:
  /// Throws std::runtime_error where there is no memory.
  explicit Staging(std::size_t slot_bytes);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// The next slot's memory, once its last copy is done; `waited` says whether the host had to wait for that.
  std::byte* take(bool& waited);
  /// Enqueues the copy of the slot taken last.
  void send(void* device, cudaStream_t stream);

 private:
  static constexpr std::size_t kSlots = 8;
  std::size_t slot_bytes_;
  std::byte* memory_ = nullptr;
  std::array<cudaEvent_t, kSlots> sent_{};
  std::size_t slot_ = kSlots - 1;
};

}  // namespace assay::kernels::compile
