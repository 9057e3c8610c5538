// SPDX-License-Identifier: Apache-2.0
// One rank's part of a pipeline whose stages wait: what is timed is the schedule and its transfers.
#pragma once

#include "suites/fsdp/rank/train.hpp"
#include "suites/fsdp/training/pipeline_plan.hpp"

namespace assay::suites::fsdp {

/// Every rank calls with the same plan. A message that is not the one its microbatch must bring is an
/// exception.
PipelineReport run_waiting_pipeline(const PipelinePlan& plan, const RankPlace& place);

}  // namespace assay::suites::fsdp
