// SPDX-License-Identifier: Apache-2.0
// Launchers of the kernels that prepare a measurement. Internal to this room.
#pragma once

#include <cstddef>

#include "harness/device/device.hpp"

namespace assay::harness {

/// Enqueues a read of `bytes` (a multiple of 16) at `data`. The values must be zero.
void launch_read(const void* data, std::size_t bytes, int multiprocessors, Stream stream);

}  // namespace assay::harness
