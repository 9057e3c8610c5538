// SPDX-License-Identifier: Apache-2.0
#include "suites/compile/training/captured_step.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <span>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/device/bench/bench_options.hpp"
#include "kernels/compile/device/bench/random_weights.hpp"

namespace assay::suites::compile {
namespace {

namespace bench = kernels::compile::bench;
using kernels::compile::DeviceStep;
using Clock = std::chrono::steady_clock;
using Lengths = std::vector<std::int64_t>;

std::size_t free_bytes() {
  std::size_t free = 0, total = 0;
  ASSAY_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free;
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Sequences one behind the other, in the order given or the opposite one; the next token is the label.
struct Inputs {
  Inputs(const std::int64_t* first, const Lengths& lengths, bool reversed) {
    std::vector<std::span<const std::int64_t>> sequences;
    for (const std::int64_t length : lengths) {
      sequences.emplace_back(first, first + length);
      first += length;
    }
    if (reversed)
      std::ranges::reverse(sequences);
    for (const auto& sequence : sequences) {
      tokens.insert(tokens.end(), sequence.begin(), sequence.end());
      labels.insert(labels.end(), sequence.begin() + 1, sequence.end());
      labels.push_back(-100);
      boundaries.push_back(static_cast<std::int32_t>(tokens.size()));
    }
  }
  std::vector<std::int64_t> tokens, labels;
  std::vector<std::int32_t> boundaries = {0};
};

}  // namespace

CapturedStep::CapturedStep(const TrainingPlan& plan, const Options& options)
    : plan_(plan), tokens_(training_tokens(plan)) {
  ASSAY_CUDA_CHECK(cudaFree(nullptr));  // the context's own memory is not the step's
  const std::size_t free_before = free_bytes();
  const Clock::time_point begin = Clock::now();
  kernels::compile::StepOptions list = step_options(plan, options.policy);
  if (options.sequences > 0)
    list.sequences = options.sequences;
  step_ = std::make_unique<DeviceStep>(
      step_program(list), kernels::compile::DeviceStepOptions{
                              .longest_sequence = options.longest > 0 ? options.longest : plan.length,
                              .program_cache = options.cache,
                              .fail_after_warm_up = true});
  weights_ = bench::bind_random_weights(*step_, bench::rope_theta(plan.shape));
  bench::set_random_adapters(*step_);
  first_loss_ = train(1).front();
  first_step_s_ = seconds_since(begin);
  device_bytes_ = free_before - free_bytes();
}
CapturedStep::~CapturedStep() = default;

void CapturedStep::enqueue(std::int64_t first_token, const Lengths& lengths) {
  // The host stays a few steps ahead, and fewer than the step has slots for inputs.
  kernels::compile::Event& before = steps_[static_cast<std::size_t>(number_) % steps_.size()];
  if (number_ >= std::ssize(steps_))
    ASSAY_CUDA_CHECK(cudaEventSynchronize(before.get()));
  const Inputs inputs(tokens_.data() + first_token, lengths, plan_.reversed);
  step_->load({.tokens = inputs.tokens,
               .labels = inputs.labels,
               .boundaries = inputs.boundaries,
               .settings = {.learning_rate = static_cast<float>(plan_.learning_rate),
                            .step = static_cast<float>(number_ + 1),
                            .weight_decay = static_cast<float>(plan_.weight_decay)}});
  step_->run();
  before.record(step_->stream());
  ++number_;
}

void CapturedStep::enqueue() {
  enqueue(number_ % plan_.batches * plan_.tokens(),
          Lengths(static_cast<std::size_t>(plan_.batch), plan_.length));
}

template <class Work>
double CapturedStep::timed(const Work& work) {
  ASSAY_CUDA_CHECK(cudaStreamSynchronize(step_->stream()));
  const Clock::time_point begin = Clock::now();
  work();
  ASSAY_CUDA_CHECK(cudaStreamSynchronize(step_->stream()));
  return seconds_since(begin);
}

double CapturedStep::time(int count) {
  return timed([&] {
    for (int i = 0; i < count; ++i) enqueue();
  });
}

double CapturedStep::time(const std::vector<Lengths>& mixes) {
  return timed([&] {
    for (const Lengths& lengths : mixes) enqueue(0, lengths);
  });
}

std::vector<double> CapturedStep::train(int count) {
  std::vector<double> losses;
  for (int i = 0; i < count; ++i) {
    enqueue();
    losses.push_back(step_->loss());
  }
  return losses;
}

std::vector<float> CapturedStep::adapters() {
  std::vector<float> all;
  for (const auto& buffer : step_->plan().program().buffers) {
    if (buffer.role != kernels::compile::Role::kAdapter)
      continue;
    const std::vector<float> values = step_->get(buffer.name);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

}  // namespace assay::suites::compile
