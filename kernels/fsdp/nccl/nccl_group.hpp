// SPDX-License-Identifier: Apache-2.0
// Groups of ranks with a GPU each.
#pragma once

#include <chrono>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace assay::kernels::fsdp {

/// Makes GPU `index` the one of this process' tensors and groups, and waits until it can be used. Throws
/// std::runtime_error where this machine has fewer.
void use_gpu(int index);

/// c10d's NCCL behind `store` prefixed with `name`, on the GPU of use_gpu. Operations run on a stream of the
/// group's own, behind what the current stream was given before; their Work makes the current stream wait.
/// Communicators are made at the first operation. Shut it down (Backend::shutdown) before the process ends.
c10::intrusive_ptr<c10d::Backend> nccl_group(const c10::intrusive_ptr<c10d::Store>& store,
                                             const std::string& name, int rank, int size,
                                             std::chrono::milliseconds timeout);

}  // namespace assay::kernels::fsdp
