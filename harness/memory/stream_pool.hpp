// SPDX-License-Identifier: Apache-2.0
// The driver's stream-ordered pool of the current device (cudaMallocAsync), which keeps exact peaks. Internal
// to this room; needs a GPU.
#pragma once

#include "harness/memory/device_pool.hpp"

namespace assay::harness {

/// Zeros where the device has no such pool.
PoolBytes stream_pool_bytes();
void reset_stream_pool_peaks();
/// Device memory behind allocations inside graphs.
std::int64_t graph_allocation_bytes();
/// Blocking; also gives back what captured allocations keep.
void trim_stream_pool();

}  // namespace assay::harness
