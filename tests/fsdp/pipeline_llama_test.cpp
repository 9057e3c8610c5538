// SPDX-License-Identifier: Apache-2.0
// The plain QLoRA Llama trained in a pipeline, by every schedule, against the same in one process.
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <cmath>
#include <cstdio>

#include "kernels/fsdp/pipeline/run.hpp"
#include "kernels/fsdp/schedule/check.hpp"
#include "kernels/fsdp/schedule/generate.hpp"
#include "kernels/fsdp/schedule/lower.hpp"
#include "tests/fsdp/llama_stage.hpp"
#include "tests/fsdp/ranks.hpp"

namespace assay::testing {
namespace {

namespace fsdp = kernels::fsdp;
using fsdp::Schedule;

/// The sum over all ranks.
double summed(c10d::Backend& group, double own) {
  std::vector<at::Tensor> sum{at::full({1}, own, at::kDouble)};
  group.allreduce(sum)->wait();
  return sum[0].item<double>();
}

/// Scales all ranks' gradients as clip_grad_norm_ would together.
void clip(c10d::Backend& group, const std::vector<at::Tensor>& parameters) {
  double square = 0;
  for (const at::Tensor& parameter : parameters) square += parameter.grad().square().sum().item<double>();
  const double norm = std::sqrt(summed(group, square));
  for (const at::Tensor& parameter : parameters)
    parameter.grad().mul_(std::min(1.0, kLargestNorm / (norm + 1e-6)));
}

std::vector<double> train(const fsdp::RankContext& context, const Schedule& schedule) {
  Problem p = training_problem({0, 1, 2, 3});
  std::map<int, LlamaStage> own;
  std::map<int, fsdp::PipelineStage*> stages;
  std::vector<at::Tensor> parameters;
  for (int s = 0; s < schedule.stages(); ++s) {
    if (schedule.rank_of_stage[static_cast<std::size_t>(s)] != context.rank)
      continue;
    LlamaStage& stage = own.try_emplace(s, p, s, schedule.stages()).first->second;
    stages[s] = &stage;
    parameters.insert(parameters.end(), stage.adapters().begin(), stage.adapters().end());
  }
  torch::optim::AdamW optimizer(parameters, torch::optim::AdamWOptions(kRate).weight_decay(kDecay));
  const auto group = context.group();
  std::vector<double> losses;
  for (int i = 0; i < kSteps; ++i) {
    for (const at::Tensor& parameter : parameters) parameter.grad().zero_();
    fsdp::run_pipeline(schedule, stages, *group);
    double loss = 0;
    for (auto& [s, stage] : own) loss += stage.take_loss();
    losses.push_back(summed(*group, loss));
    clip(*group, parameters);
    optimizer.step();
  }
  return losses;
}

std::vector<double> pipeline_losses(const Schedule& compute) {
  const Schedule schedule = fsdp::with_transfers(compute);
  EXPECT_TRUE(fsdp::check_schedule(schedule).empty()) << schedule.name;
  return losses_of(schedule.world(),
                   [&](const fsdp::RankContext& context) { return train(context, schedule); });
}

TEST(PipelineLlama, every_schedule_has_the_losses_of_one_process) {
  const auto one = pipeline_losses(fsdp::gpipe(1, 4));
  const auto plain = losses_of(1, [](const fsdp::RankContext&) { return plain_losses(); });
  EXPECT_LE(largest_difference(one, plain), 4 * band());
  for (const Schedule& schedule : {fsdp::gpipe(2, 4), fsdp::one_f_one_b(2, 4), fsdp::one_f_one_b(4, 4),
                                   fsdp::interleaved_1f1b(2, 4, 2), fsdp::zb_h1(2, 4), fsdp::zb_h1(4, 4),
                                   fsdp::zbv(2, 4), fsdp::with_recompute(fsdp::one_f_one_b(2, 4))}) {
    const double difference = largest_difference(pipeline_losses(schedule), one);
    std::printf("[ %s on %d ranks ] %.2e\n", schedule.name.c_str(), schedule.world(), difference);
    EXPECT_LE(difference, 4 * band()) << schedule.name;
  }
}

}  // namespace
}  // namespace assay::testing
