// SPDX-License-Identifier: Apache-2.0
#include "kernels/compile/checkpoint/device/training.hpp"

#include <stdexcept>
#include <vector>

#include "kernels/compile/checkpoint/device/device_weights.hpp"

namespace assay::kernels::compile::checkpoint {

struct DeviceTrainee::Parts {
  Parts(const Program& program, const DeviceStepOptions& options) : step(program, options), weights(step) {}

  DeviceStep step;
  DeviceWeights weights;
};

DeviceTrainee::DeviceTrainee(const StepCheckpoint& checkpoint, const DeviceStepOptions& options)
    : parts_(std::make_unique<Parts>(checkpoint.program(), options)) {}
DeviceTrainee::~DeviceTrainee() = default;

WeightSink& DeviceTrainee::weights() {
  return parts_->weights.sink();
}
DeviceStep& DeviceTrainee::step() {
  return parts_->step;
}

void DeviceTrainee::run(const StepInputs& inputs) {
  parts_->weights.wait();
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
                                     .loss_scaling = options.loss_scaling,
                                     .program_cache = options.program_cache,
                                     .fail_after_warm_up = true});
  return train(checkpoint, trainee, training, adapter_out);
}

}  // namespace assay::kernels::compile::checkpoint
