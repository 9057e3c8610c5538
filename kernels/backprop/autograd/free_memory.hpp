// SPDX-License-Identifier: Apache-2.0
// How much memory a pass may plan with.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace assay::kernels::backprop {

/// Bytes that torch could still hand out on `device`: the driver's free memory plus what torch's allocator
/// holds unused; on the CPU what the system calls available. 0 where it is not known. Waits for nothing, may
/// be called during a capture.
std::int64_t free_memory(c10::Device device);

}  // namespace assay::kernels::backprop
