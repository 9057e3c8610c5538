// SPDX-License-Identifier: Apache-2.0
#include "suites/fsdp/rank/waiting_pipeline.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include "kernels/fsdp/pipeline/run.hpp"

namespace assay::suites::fsdp {
namespace {

namespace engine = kernels::fsdp;

void wait_for_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

void require(const at::Tensor& message, double wanted) {
  const double found = message.defined() ? message.item<double>() : -1;
  if (found != wanted)
    throw std::runtime_error("expected the message " + std::to_string(wanted) + ", found " +
                             std::to_string(found));
}

/// Messages say where they come from: 1000 · stage + microbatch, gradients below zero.
class WaitingStage : public engine::PipelineStage {
 public:
  WaitingStage(int stage, int stages, const WaitingCosts& costs)
      : stage_(stage), stages_(stages), costs_(costs) {}

  at::Tensor forward(int microbatch, const at::Tensor& input) override {
    if (stage_ > 0)
      require(input, 1000 * (stage_ - 1) + microbatch);
    wait_for_seconds(costs_.forward);
    return at::full({1}, 1000.0 * stage_ + microbatch, at::kDouble);
  }
  void recompute(int) override { wait_for_seconds(costs_.recompute); }
  at::Tensor backward_input(int microbatch, const at::Tensor& gradient) override {
    if (stage_ + 1 < stages_)
      require(gradient, -1000 * (stage_ + 1) - microbatch);
    wait_for_seconds(costs_.input);
    return at::full({1}, -1000.0 * stage_ - microbatch, at::kDouble);
  }
  void backward_weight(int) override { wait_for_seconds(costs_.weight); }
  at::Tensor new_input(int) const override { return at::zeros({1}, at::kDouble); }
  at::Tensor new_output_gradient(int) const override { return at::zeros({1}, at::kDouble); }

 private:
  int stage_, stages_;
  WaitingCosts costs_;
};

}  // namespace

PipelineReport run_waiting_pipeline(const PipelinePlan& plan, const RankPlace& place) {
  const engine::Schedule schedule = schedule_of(plan.schedule);
  const double part = static_cast<double>(schedule.world()) / schedule.stages();
  const WaitingCosts costs{part * plan.costs.forward, part * plan.costs.recompute, part * plan.costs.input,
                           part * plan.costs.weight};
  std::vector<std::unique_ptr<WaitingStage>> owned;
  std::map<int, engine::PipelineStage*> stages;
  for (int stage = 0; stage < schedule.stages(); ++stage)
    if (schedule.rank_of_stage[static_cast<std::size_t>(stage)] == place.rank)
      stages[stage] =
          owned.emplace_back(std::make_unique<WaitingStage>(stage, schedule.stages(), costs)).get();
  const auto group = place.make_group("pipeline", place.rank, place.world);
  PipelineReport report{.rank = place.rank};
  for (int i = 0; i < plan.repeats; ++i) {
    group->barrier({});
    PipelineTimes times;
    for (const engine::Timed& event : engine::run_pipeline(schedule, stages, *group)) {
      times.compute += engine::is_transfer(event.action.kind) ? 0 : event.end - event.begin;
      times.end = event.end;
    }
    report.runs.push_back(times);
  }
  return report;
}

}  // namespace assay::suites::fsdp
