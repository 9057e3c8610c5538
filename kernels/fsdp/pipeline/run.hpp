// SPDX-License-Identifier: Apache-2.0
// One rank's part of a pipeline schedule, run.
#pragma once

#include <map>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <vector>

#include "kernels/fsdp/pipeline/stage.hpp"
#include "kernels/fsdp/schedule/walk.hpp"

namespace assay::kernels::fsdp {

/// Walks the rank's list. `schedule` has transfers and passed check_schedule; `stages` are this rank's, by
/// number; `group` has the schedule's ranks. Activations travel with tag 0, gradients with tag 1, so that
/// each channel keeps its order. Returns when each action began and ended, in seconds from the call: a
/// timeline to draw and to hold against simulate's. Throws std::invalid_argument where a stage of this rank
/// is missing or the group is of another size, c10::DistBackendError where a rank fails.
std::vector<Timed> run_pipeline(const Schedule& schedule, const std::map<int, PipelineStage*>& stages,
                                c10d::Backend& group);

}  // namespace assay::kernels::fsdp
