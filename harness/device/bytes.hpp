// SPDX-License-Identifier: Apache-2.0
// Word mixing shared by the host and the device, and the device half of the byte operations in device.hpp.
// Internal to this room. Pointers of the *_on_device functions may have any alignment; calls block, on the
// legacy stream.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define ASSAY_HOST_DEVICE __host__ __device__
#else
#define ASSAY_HOST_DEVICE
#endif

namespace assay::harness {

/// Finalizer of SplitMix64 (Steele et al., 2014) over word and position.
ASSAY_HOST_DEVICE inline std::uint64_t mix_word(std::uint64_t word, std::uint64_t index) {
  std::uint64_t z = word + (index + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

std::uint64_t digest_on_device(const void* data, std::size_t bytes);
bool all_bytes_are_on_device(const void* data, std::uint8_t value, std::size_t bytes);

/// cudaSuccess when this build holds device code that runs on the current GPU.
int probe_device_code();

}  // namespace assay::harness
