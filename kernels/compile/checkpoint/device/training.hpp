// SPDX-License-Identifier: Apache-2.0
// QLoRA training from a Hugging Face folder to a PEFT adapter:
//
//   train_from_checkpoint("Llama-3.1-8B", {.checkpoint = {.tokens = 4096, .sequences = 2}}, {.next =
//   batches},
//                         "adapter");
//
// on the GPU, and the same loop over any other step (tests: on the host).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "kernels/compile/checkpoint/step_checkpoint.hpp"
#include "kernels/compile/device/device_step.hpp"

namespace assay::kernels::compile::checkpoint {

/// A step that trains.
class Trainee {
 public:
  virtual ~Trainee() = default;
  virtual WeightSink& weights() = 0;
  /// Enqueues a step; inputs may be changed when it returns.
  virtual void run(const StepInputs& inputs) = 0;
  virtual float loss() = 0;  ///< of the last step, before its update; waits
  virtual std::vector<float> adapter(const std::string& buffer) = 0;
};

/// A DeviceStep of the checkpoint's list with its weights in device memory of its own.
class DeviceTrainee final : public Trainee {
 public:
  /// Allocates on the current device. Throws as DeviceStep and DeviceMemory do.
  DeviceTrainee(const StepCheckpoint& checkpoint, const DeviceStepOptions& options);
  ~DeviceTrainee() override;

  WeightSink& weights() override;
  void run(const StepInputs& inputs) override;
  float loss() override;
  std::vector<float> adapter(const std::string& buffer) override;
  DeviceStep& step();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

struct Training {
  /// Inputs of step 1, 2, …, with learning rate and the number in `settings`; nullopt ends the training. What
  /// its spans point to must live until the next call.
  std::function<std::optional<StepInputs>(int step)> next = {};
  /// Told the loss after every `report_every` steps: each time waits for the device. None: never.
  std::function<void(int step, float loss)> report = {};
  int report_every = 1;
};

/// Loads, runs steps until `next` has none, writes the adapters, and returns the number of steps. Throws
/// std::invalid_argument for no `next`, for a checkpoint or inputs that do not fit, std::runtime_error for
/// adapters that are not finite at the end (none are written then) and for a folder that cannot be written.
int train(const StepCheckpoint& checkpoint, Trainee& trainee, const Training& training,
          const std::filesystem::path& adapter_out);

struct DeviceTraining {
  CheckpointOptions checkpoint;
  std::int64_t longest_sequence = 0;         ///< 0: all of the step's tokens
  std::filesystem::path program_cache = {};  ///< DeviceStepOptions
  LossScaling loss_scaling = {};  ///< none; for f16 an initial scale of 16 does what GradScaler's does
};

/// The same on the current GPU. Computes in f16 or bf16.
int train_from_checkpoint(const std::filesystem::path& model, const DeviceTraining& options,
                          const Training& training, const std::filesystem::path& adapter_out);

}  // namespace assay::kernels::compile::checkpoint
