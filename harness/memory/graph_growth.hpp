// SPDX-License-Identifier: Apache-2.0
// Device memory that a call costs as a CUDA graph. Internal to this room; needs a GPU.
#pragma once

#include <cstdint>

#include "harness/core/challenge.hpp"

namespace assay::harness {

/// Bytes by which free device memory falls through capturing, instantiating and uploading the call, all of
/// which is given back before the return. 0 for a call that cannot be captured: it has no graph. Throws
/// OutOfMemory.
std::int64_t graph_growth_bytes(const Invocation& call, Stream stream);

}  // namespace assay::harness
