// SPDX-License-Identifier: Apache-2.0
// Launchers of the kernels that prepare a measurement. Internal to this room.
#pragma once

#include <cstddef>

#include "harness/device/device.hpp"

namespace assay::harness {

/// Enqueues a read of `bytes` (a multiple of 256) at `data`. The values must be zero. `keep` asks L2 to evict
/// these lines last (sm_80 and later).
void launch_read(const void* data, std::size_t bytes, int multiprocessors, bool keep, Stream stream);
/// Enqueues the end of that request: the lines are evicted like any other.
void launch_release(const void* data, std::size_t bytes, int multiprocessors, Stream stream);

}  // namespace assay::harness
