// SPDX-License-Identifier: Apache-2.0
// A loop over independent units of work on all cores.
#pragma once

#include <cstdint>
#include <functional>

namespace assay::harness {

/// Calls `work(i)` once for every i in [0, count), on as many threads as the machine has cores, in no order.
/// The first exception stops the loop and is rethrown here once every thread has ended.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& work);

}  // namespace assay::harness
