// SPDX-License-Identifier: Apache-2.0
// Device memory that a call costs as a CUDA graph. Internal to this room; needs a GPU.
#pragma once

#include <cstdint>
#include <optional>

#include "harness/core/challenge.hpp"

namespace assay::harness {

/// Device memory of one captured, instantiated and uploaded call: its temporaries, which the graph keeps, and
/// what the driver needs for the graph itself. All of it is given back before the return. nullopt for a call
/// that cannot be captured. Throws what the call throws for other reasons, OutOfMemory among them.
std::optional<std::int64_t> graph_growth_bytes(const Invocation& call, Stream stream);

}  // namespace assay::harness
