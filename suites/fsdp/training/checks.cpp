// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/training/checks.hpp"

#include <cuda_runtime_api.h>

#include "harness/core/interrupt.hpp"
#include "suites/fsdp/training/job.hpp"
#include "suites/fsdp/training/pipeline_evidence.hpp"

namespace assay::suites::fsdp {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kFewSteps = 4;     ///< enough to see a step that is not the first
constexpr int kSavedAfter = 31;  ///< no multiple of the batches, so that data that begins anew differs

PlannedRun planned(const RankDevice& device, std::string name, int world, RunPlan plan) {
  harness::throw_if_interrupted();
  plan.device = device.name;
  name += " on " + std::to_string(world) + (world == 1 ? " rank" : " ranks");
  return {.name = std::move(name), .plan = plan, .ranks = run_training(world, plan)};
}

/// Every plan on every number of ranks.
std::vector<PlannedRun> all_plans(const RankDevice& device, int steps, const std::string& fault) {
  const auto plan = [&](bool flat, int gather_ranks, int buffers) {
    return RunPlan{
        .steps = steps, .flat = flat, .gather_ranks = gather_ranks, .buffers = buffers, .fault = fault};
  };
  std::vector<PlannedRun> runs;
  for (const int world : device.worlds) {
    runs.push_back(planned(device, "shard", world, plan(false, 0, 2)));
    runs.push_back(planned(device, "shard-flat", world, plan(true, 0, 2)));
    runs.push_back(planned(device, "replicate", world, plan(false, 1, 2)));
    if (world > 2)
      runs.push_back(planned(device, "shard over pairs", world, plan(false, 2, 2)));
  }
  runs.push_back(
      planned(device, "shard, all layers gathered", device.worlds.front(), plan(false, 0, kLayers)));
  return runs;
}

/// One plan, for a fault that any of them would show.
std::vector<PlannedRun> one_plan(const RankDevice& device, int steps, const std::string& fault) {
  return {planned(device, "shard", device.worlds.front(), {.steps = steps, .fault = fault})};
}

std::vector<PlannedRun> plans(const RankDevice& device, int steps, const std::string& fault) {
  return fault.empty() ? all_plans(device, steps, fault) : one_plan(device, steps, fault);
}

/// The evidence with what the ranks ran on.
std::string judged(const RankDevice& device, const std::vector<PlannedRun>& runs, Json evidence) {
  evidence["device"] = device.name;
  evidence["transport"] = runs.front().ranks.front().transport;
  evidence["gpus"] = device.name == "cuda" ? device.worlds.back() : 0;
  return without_faults(evidence);
}

std::string bubble_on_cpu_ranks(const harness::DeviceFacts& facts) {
  if (facts.kind == harness::DeviceKind::kCuda)
    throw harness::Skip(
        "needs stages that compute on 2 GPUs, found stages that wait; --device cpu runs those on CPU ranks");
  return pipeline_bubble();
}

}  // namespace

RankDevice rank_device(harness::DeviceKind kind) {
  if (kind != harness::DeviceKind::kCuda)
    return {};
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess)
    count = 0;
  if (count < 2)
    throw harness::Skip("needs 2 GPUs, found " + std::to_string(count) +
                        "; --device cpu runs the check on processes of this machine's CPU");
  return {.name = "cuda", .worlds = count < 4 ? std::vector{2} : std::vector{2, 4}};
}

std::string sharded_loss(const RankDevice& device, const std::string& fault) {
  std::vector<TrainedRun> orders;
  const std::vector<std::vector<int>> sequences = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}};
  for (const std::vector<int>& order : sequences)
    orders.push_back(whole(planned(device, "order", 1, {.steps = kLeastSteps, .order = order}).ranks));
  const std::vector<PlannedRun> runs = plans(device, kLeastSteps, fault);
  std::vector<NamedTraining> trained;
  for (const PlannedRun& run : runs)
    trained.push_back({.name = run.name, .ranks = run.world(), .run = whole(run.ranks)});
  Json evidence = sharded_loss_evidence(orders, trained);
  evidence["losses"] = {{"one_process", orders.front().losses}, {"shard", trained.front().run.losses}};
  evidence["captured"] = false;
  return judged(device, runs, std::move(evidence));
}

std::string collectives(const RankDevice& device, const std::string& fault) {
  const std::vector<PlannedRun> runs = plans(device, kFewSteps, fault);
  return judged(device, runs, collectives_evidence(runs));
}

std::string memory_per_rank(const RankDevice& device, const std::string& fault) {
  const std::vector<PlannedRun> runs = plans(device, 1, fault);
  return judged(device, runs, memory_evidence(runs));
}

std::string resume_bitwise(const RankDevice& device, const std::string& fault) {
  std::vector<ResumedRun> runs;
  std::vector<PlannedRun> ranks;
  for (const int world : device.worlds) {
    const JobFolder folder;
    RunPlan plan{.checkpoints = folder.path().string(), .save_after = kSavedAfter, .fault = fault};
    ranks.push_back(planned(device, "whole", world, plan));
    plan.resume = true;
    runs.push_back({.world = world,
                    .saved_after = kSavedAfter,
                    .whole = whole(ranks.back().ranks),
                    .resumed = whole(planned(device, "resumed", world, plan).ranks)});
  }
  return judged(device, ranks, resume_evidence(runs));
}

std::vector<harness::Challenge::SuiteCheck> training_checks() {
  const auto check = [](const char* name, auto run) {
    return harness::Challenge::SuiteCheck{
        .name = name, .subject = kShardedStep, .run = [run](const harness::DeviceFacts& facts) {
          return run(rank_device(facts.kind), std::string());
        }};
  };
  return {check(kShardedLoss, sharded_loss),
          check(kCollectives, collectives),
          check(kMemory, memory_per_rank),
          check(kResume, resume_bitwise),
          {.name = kSchedules,
           .subject = kShardedStep,
           .run = [](const harness::DeviceFacts&) { return without_faults(schedules_evidence()); }},
          {.name = kBubble, .measures = true, .subject = kShardedStep, .run = bubble_on_cpu_ranks}};
}

}  // namespace assay::suites::fsdp
