// SPDX-License-Identifier: Apache-2.0
// What a call puts on its stream, read from a captured graph.
#pragma once

#include "harness/core/challenge.hpp"

namespace assay::suites::nf4 {

struct LaunchCount {
  int kernels = 0, others = 0;  ///< others: copies, fills, allocations, host calls
};
/// Captures the call on a stream of its own; nothing runs. Throws std::runtime_error when it cannot be
/// captured.
LaunchCount count_launches(const harness::Invocation& call);

}  // namespace assay::suites::nf4
