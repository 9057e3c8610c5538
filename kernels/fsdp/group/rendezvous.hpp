// SPDX-License-Identifier: Apache-2.0
// From who a process is to the store through which its groups meet.
#pragma once

#include <chrono>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "kernels/fsdp/launch/identity.hpp"

namespace assay::kernels::fsdp {

/// A TCPStore at the identity's host and port, served by rank 0 where the launcher does not, behind a prefix
/// of the run and its attempt, so that a restart does not meet the keys of the run before. Throws
/// c10::DistNetworkError or c10::DistStoreError where the store cannot be reached within the timeout or the
/// port is taken.
c10::intrusive_ptr<c10d::Store> meet(const RankIdentity& identity,
                                     std::chrono::milliseconds timeout = std::chrono::seconds(60));

}  // namespace assay::kernels::fsdp
