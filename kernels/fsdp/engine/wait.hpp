// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/csrc/distributed/c10d/Work.hpp>

namespace assay::kernels::fsdp {

/// NCCL returns no Work for what ran on the current stream (asyncOp = false): there is nothing to wait for
/// then.
inline void wait_for(const c10::intrusive_ptr<c10d::Work>& work) {
  if (work)
    work->wait();
}

}  // namespace assay::kernels::fsdp
