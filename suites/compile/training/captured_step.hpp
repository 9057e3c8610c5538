// SPDX-License-Identifier: Apache-2.0
// The captured step as a peer of others: made from a plan, timed by steps, its losses and adapters read.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "kernels/compile/device/device_memory.hpp"
#include "kernels/compile/device/device_step.hpp"
#include "suites/compile/training/training_plan.hpp"

namespace assay::suites::compile {

class CapturedStep {
 public:
  struct Options {
    Policy policy = {};
    std::int64_t sequences = 0, longest = 0;  ///< the graph's capacities; 0: what the plan's batches need
    std::filesystem::path cache = {};         ///< of compiled attention programs; empty: none
  };
  /// On the current GPU, bf16, after its first step. A recompilation, search or capture after that throws
  /// (DeviceStepOptions::fail_after_warm_up).
  CapturedStep(const TrainingPlan& plan, const Options& options);
  ~CapturedStep();

  /// Seconds of `count` further steps, the device waited for at both ends.
  double time(int count);
  /// The same of one step for each mix of lengths, of the plan's first tokens cut into such sequences.
  double time(const std::vector<std::vector<std::int64_t>>& mixes);
  /// Losses of `count` further steps.
  std::vector<double> train(int count);

  double first_step_s() const { return first_step_s_; }  ///< from nothing to the first loss
  double first_loss() const { return first_loss_; }
  /// What the device had less of after the first step: memory, and whatever the driver keeps for code.
  std::size_t device_bytes() const { return device_bytes_; }
  std::size_t graph_nodes() const { return step_->graph_nodes(); }
  const kernels::compile::StepCounters& counters() const { return step_->counters(); }
  /// All adapters in the order of peer_specification's.
  std::vector<float> adapters();

 private:
  void enqueue();
  void enqueue(std::int64_t first_token, const std::vector<std::int64_t>& lengths);
  template <class Work>
  double timed(const Work& work);

  TrainingPlan plan_;
  std::unique_ptr<kernels::compile::DeviceStep> step_;
  std::unique_ptr<kernels::compile::DeviceMemory> weights_;
  std::vector<std::int64_t> tokens_;
  std::int64_t number_ = 0;                       ///< of the step to come
  std::array<kernels::compile::Event, 4> steps_;  ///< ends of the last ones
  double first_step_s_ = 0, first_loss_ = 0;
  std::size_t device_bytes_ = 0;
};

}  // namespace assay::suites::compile
