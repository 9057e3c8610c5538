// SPDX-License-Identifier: Apache-2.0
// One rank's part of a training: the sharded step on its share of every batch.
#pragma once

#include <functional>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "suites/fsdp/training/run_plan.hpp"

namespace assay::suites::fsdp {

/// A rank, and how it makes a group of `size` ranks in which it is `rank`; groups of one name meet.
struct RankPlace {
  int rank = 0, world = 1;
  std::function<c10::intrusive_ptr<c10d::Backend>(const std::string& name, int rank, int size)> make_group;
};

/// Every rank calls with the same plan. Throws what a rank that fails, or a plan that cannot be run, throws.
RankReport train(const RunPlan& plan, const RankPlace& place);

}  // namespace assay::suites::fsdp
