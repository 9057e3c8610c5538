// SPDX-License-Identifier: Apache-2.0
// The check pipeline_bubble.
#include "harness/core/interrupt.hpp"
#include "kernels/fsdp/schedule/lower.hpp"
#include "suites/fsdp/training/checks.hpp"
#include "suites/fsdp/training/job.hpp"
#include "suites/fsdp/training/pipeline_evidence.hpp"

namespace assay::suites::fsdp {
namespace {

namespace schedules = kernels::fsdp;
constexpr double kAction = 0.03;  ///< seconds; a thousand times what a transfer takes

/// `weight` of the others' cost; `recompute` as MeasuredPipeline has it.
MeasuredPipeline measured(const std::string& name, double weight, const std::string& recompute,
                          const std::string& fault) {
  harness::throw_if_interrupted();
  MeasuredPipeline run{.name = name, .recompute = recompute};
  const double again = recompute.empty() ? 0 : 1;
  schedules::Schedule schedule =
      named_schedule(fault == "named_only" ? "gpipe" : name, run.ranks, run.microbatches);
  if (recompute == "hoisted")
    schedule = schedules::with_recompute(std::move(schedule));
  schedule = schedules::with_transfers(schedule);
  schedules::StageCosts costs{.weight = weight, .recompute = again};
  costs.scale.assign(static_cast<std::size_t>(schedule.stages()), 1.0 * schedule.world() / schedule.stages());
  run.simulated = simulate(schedule, costs, 2).bubble_over_ideal();
  run.costs = {kAction, again * kAction, kAction, weight * kAction};
  PipelinePlan plan{.schedule = text_of(schedule), .costs = run.costs};
  if (recompute == "inside")
    plan.costs.input += kAction;
  std::vector<PipelineReport> ranks;
  for (const auto& report : run_ranks(run.ranks, plan)) ranks.push_back(report.get<PipelineReport>());
  for (std::size_t i = 0; i < static_cast<std::size_t>(plan.repeats); ++i) {
    std::vector<PipelineTimes> times;
    for (const PipelineReport& rank : ranks) times.push_back(rank.runs.at(i));
    run.measured.push_back(measured_bubble(times));
  }
  return run;
}

}  // namespace

std::string pipeline_bubble(const std::string& fault) {
  std::vector<MeasuredPipeline> runs;
  for (const char* name : {"1f1b", "interleaved", "zb-h1", "zbv"})
    runs.push_back(measured(name, 1, "", fault));
  runs.push_back(measured("zbv", 0, "", fault));
  for (const char* recompute : {"inside", "hoisted"}) runs.push_back(measured("1f1b", 0, recompute, fault));
  auto evidence = bubble_evidence(runs);
  evidence["transport"] = "socket";
  evidence["gpus"] = 0;
  return without_faults(evidence);
}

}  // namespace assay::suites::fsdp
