// SPDX-License-Identifier: Apache-2.0
// The pure part of sizing a rotation, and how much memory is free to size things by.
#pragma once

#include <cstddef>

#include "harness/device/device.hpp"

namespace assay::harness {

/// Bytes that can be allocated now: free device memory, or what the kernel calls available.
std::size_t free_bytes(const DeviceInfo& device);

/// Sets that together exceed three times `cache_bytes` (0: unknown, 32 MiB assumed) within 40 % of
/// `free_bytes`; 2 to 64. Two is the floor even where two do not fit: allocating them then says so.
int sets_for(std::size_t bytes_per_set, std::size_t cache_bytes, std::size_t free_bytes);

}  // namespace assay::harness
