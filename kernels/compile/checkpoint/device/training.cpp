// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/device/training.hpp"

#include <stdexcept>
#include <vector>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/checkpoint/device/placed_weights.hpp"
#include "kernels/compile/device/device_memory.hpp"

namespace assay::kernels::compile::checkpoint {

// Destroyed from the last member to the first: the step's graph before the weights it reads.
struct DeviceTrainee::Parts final : WeightOwner {
  Parts(const Program& program, const DeviceStepOptions& options)
      : step(program, options), sink(program, *this) {}
  ~Parts() override = default;

  std::byte* allocate(std::size_t bytes) override {
    return memory.emplace_back(std::make_unique<DeviceMemory>(bytes))->get();
  }
  void copy(std::byte* to, const void* from, std::size_t bytes) override {
    ASSAY_CUDA_CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
    is_complete = false;
  }
  void bind(const std::string& name, const void* data) override { step.bind(name, data); }
  void bind(const std::string& name, const nf4::PackedWeights& weights) override { step.bind(name, weights); }
  void set(const std::string& name, std::span<const float> adapter) override { step.set(name, adapter); }

  std::vector<std::unique_ptr<DeviceMemory>> memory;
  DeviceStep step;
  PlacedWeights sink;
  bool is_complete = false;  ///< copies of the legacy stream, for which the step's does not wait
};

DeviceTrainee::DeviceTrainee(const StepCheckpoint& checkpoint, const DeviceStepOptions& options)
    : parts_(std::make_unique<Parts>(checkpoint.program(), options)) {}
DeviceTrainee::~DeviceTrainee() = default;

WeightSink& DeviceTrainee::weights() {
  return parts_->sink;
}
DeviceStep& DeviceTrainee::step() {
  return parts_->step;
}

void DeviceTrainee::run(const StepInputs& inputs) {
  if (!parts_->is_complete)
    ASSAY_CUDA_CHECK(cudaDeviceSynchronize());
  parts_->is_complete = true;
  parts_->step.load(inputs);
  parts_->step.run();
}

float DeviceTrainee::loss() {
  return parts_->step.loss();
}
std::vector<float> DeviceTrainee::adapter(const std::string& buffer) {
  return parts_->step.get(buffer);
}

int train(const StepCheckpoint& checkpoint, Trainee& trainee, const Training& training,
          const std::filesystem::path& adapter_out) {
  if (!training.next || training.report_every < 1)
    throw std::invalid_argument(
        "training: expected inputs of steps and a report every 1 or more of them, found " +
        std::string(training.next ? "fewer" : "no inputs"));
  checkpoint.load(trainee.weights());
  int steps = 0;
  while (const std::optional<StepInputs> inputs = training.next(steps + 1)) {
    trainee.run(*inputs);
    ++steps;
    if (training.report && steps % training.report_every == 0)
      training.report(steps, trainee.loss());
  }
  checkpoint.save_adapters(adapter_out, [&](const std::string& name) { return trainee.adapter(name); });
  return steps;
}

int train_from_checkpoint(const std::filesystem::path& model, const DeviceTraining& options,
                          const Training& training, const std::filesystem::path& adapter_out) {
  const StepCheckpoint checkpoint(model, options.checkpoint);
  DeviceTrainee trainee(checkpoint, {.compute = options.checkpoint.compute,
                                     .longest_sequence = options.longest_sequence,
                                     .program_cache = options.program_cache,
                                     .fail_after_warm_up = true});
  return train(checkpoint, trainee, training, adapter_out);
}

}  // namespace assay::kernels::compile::checkpoint
