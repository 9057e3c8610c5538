// SPDX-License-Identifier: Apache-2.0
// The wrong trainings of suites/fsdp/rank, and who must see each.
#pragma once

#include <array>

#include "suites/fsdp/training/checks.hpp"

namespace assay::suites::fsdp {

struct Fault {
  const char *name, *rejected_by, *about;
};
inline constexpr std::array kFaults = {
    Fault{"skipped_reduce", kShardedLoss, "each rank keeps its own gradients"},
    Fault{"stale_gather", kShardedLoss, "a buffer keeps the layer gathered into it before"},
    Fault{"mean_of_means", kShardedLoss, "ranks with few labels weigh as much as those with many"},
    Fault{"second_gather", kCollectives, "a layer is gathered again while it still lies in its buffer"},
    Fault{"replicated_base", kMemory, "every rank keeps the whole base"},
    Fault{"forgotten_moments", kResume, "AdamW begins anew behind a checkpoint"},
    Fault{"first_batch_again", kResume, "the data begins anew behind a checkpoint"},
};

}  // namespace assay::suites::fsdp
