// SPDX-License-Identifier: Apache-2.0
// One rank's part of a training: the sharded step on its share of every batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "suites/fsdp/training/run_plan.hpp"

namespace assay::suites::fsdp {

/// Makes a group of `size` ranks in which this one is `rank`; groups of one name meet.
using MakeGroup =
    std::function<c10::intrusive_ptr<c10d::Backend>(const std::string& name, int rank, int size)>;

struct RankPlace {
  int rank = 0, world = 1;
  at::Device device = at::kCPU;
  MakeGroup make_group;       ///< for tensors on the device
  MakeGroup make_host_group;  ///< for tensors on the CPU: checkpoints agree over it
};

/// Every rank calls with the same plan. Throws what a rank that fails, or a plan that cannot be run, throws.
RankReport train(const RunPlan& plan, const RankPlace& place);

}  // namespace assay::suites::fsdp
