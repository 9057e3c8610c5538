// SPDX-License-Identifier: Apache-2.0
// Byte operations on either device: copy, fill, compare with one value, digest.
#include "harness/device/bytes.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "harness/device/device.hpp"

namespace assay::harness {
namespace {

/// The last word of a buffer is padded with zeros; its length is mixed in apart, so that padding and data
/// differ.
std::uint64_t load_word(const std::byte* data, std::size_t bytes, std::size_t index) {
  std::uint64_t word = 0;
  std::memcpy(&word, data + 8 * index, std::min<std::size_t>(8, bytes - 8 * index));
  return word;
}

std::uint64_t digest_on_host(const std::byte* data, std::size_t bytes) {
  std::uint64_t sum = 0;
  const std::size_t words = (bytes + 7) / 8;
  for (std::size_t i = 0; i < words; ++i) {
    sum += mix_word(load_word(data, bytes, i), i);
  }
  return sum;
}

bool all_bytes_are_on_host(const void* data, std::uint8_t value, std::size_t bytes) {
  const auto* first = static_cast<const std::uint8_t*>(data);
  // Equal to its own shift by one byte and right at the start: one memcmp at memory speed.
  return bytes == 0 || (first[0] == value && std::memcmp(first, first + 1, bytes - 1) == 0);
}

}  // namespace

void copy_bytes(void* to, DeviceKind to_kind, const void* from, DeviceKind from_kind, std::size_t bytes) {
  if (bytes == 0) {
    return;
  }
  if (to_kind == DeviceKind::kCpu && from_kind == DeviceKind::kCpu) {
    std::memcpy(to, from, bytes);
    return;
  }
  ASSAY_HARNESS_CUDA(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
  // Device-to-device and small host-to-device copies return before they end.
  ASSAY_HARNESS_CUDA(cudaStreamSynchronize(nullptr));
}

void fill_bytes(void* data, DeviceKind kind, std::uint8_t value, std::size_t bytes) {
  if (bytes == 0) {
    return;
  }
  if (kind == DeviceKind::kCpu) {
    std::memset(data, value, bytes);
    return;
  }
  ASSAY_HARNESS_CUDA(cudaMemset(data, value, bytes));
  ASSAY_HARNESS_CUDA(cudaStreamSynchronize(nullptr));
}

bool all_bytes_are(const void* data, DeviceKind kind, std::uint8_t value, std::size_t bytes) {
  if (bytes == 0) {
    return true;
  }
  return kind == DeviceKind::kCpu ? all_bytes_are_on_host(data, value, bytes)
                                  : all_bytes_are_on_device(data, value, bytes);
}

std::uint64_t digest_bytes(const void* data, DeviceKind kind, std::size_t bytes) {
  const std::uint64_t length = mix_word(bytes, ~std::uint64_t{0} - 1);
  if (bytes == 0) {
    return length;
  }
  return length + (kind == DeviceKind::kCpu ? digest_on_host(static_cast<const std::byte*>(data), bytes)
                                            : digest_on_device(data, bytes));
}

}  // namespace assay::harness
