// SPDX-License-Identifier: Apache-2.0
// A training step on the GPU: one allocation, one captured graph, no host in between.
//
//   DeviceStep step(step_program(options), {.compute = …});
//   step.bind("embed_tokens", pointer); …          every frozen weight by its name in step_program.hpp
//   step.set("layers.0.qkv.lora_A", values); …      adapters; what is not set is 0
//   for (…) { step.load(inputs); step.run(); }      enqueued; the host runs ahead
//   step.loss();                                    waits
//
// The first run() walks the list twice without AdamW (searches for products, compiles attention, loads every
// kernel) and captures it; every step, the first one too, is a replay of that graph. What changes from step
// to step lies on the device: tokens, labels, lengths, learning rate.
#pragma once

#include <cuda_runtime_api.h>

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/compile/device/step_inputs.hpp"
#include "kernels/compile/device/step_plan.hpp"
#include "kernels/compile/device/step_watch.hpp"

namespace assay::kernels::compile {

struct DeviceStepOptions {
  ComputeType compute = ComputeType::kBfloat16;  ///< f16 or bf16
  std::int64_t longest_sequence = 0;             ///< 0: all of the step's tokens
  std::int64_t chunk_rows = 0;                   ///< of logits; 0: chunk_plan's choice
  LossScaling loss_scaling = {};                 ///< get("loss_scaler") shows its state (LossScaler)
  /// A folder of what one process finds out for the next: compiled attention programs, and winners among
  /// products for the whole process (keep_matmul_winners). Empty: none.
  std::filesystem::path program_cache = {};
  /// Throws at the first compilation, search or capture after warm-up, and says why it would have come to it.
  bool fail_after_warm_up = false;
};

/// Belongs to the device that is current when it is made; for one thread at a time.
class DeviceStep {
 public:
  /// Plans and allocates; the arena starts as NaN, adapters, moments and results as 0. Throws what StepPlan
  /// throws, std::runtime_error where the device has no room.
  DeviceStep(Program program, const DeviceStepOptions& options);
  ~DeviceStep();
  DeviceStep(const DeviceStep&) = delete;
  DeviceStep& operator=(const DeviceStep&) = delete;

  /// Frozen weights in device memory that stays the caller's, aligned to 16 bytes, dense in the compute type
  /// (frequencies: f32), complete before run(): the step's stream does not wait for the legacy one. Another
  /// address than the captured one: the next run() captures anew, or throws with fail_after_warm_up. Throws
  /// as StepPlan::bind.
  void bind(const std::string& name, const void* data);
  void bind(const std::string& name, const nf4::PackedWeights& weights);

  /// An adapter (its copy for the products too) or a moment; waits for the device. Throws
  /// std::invalid_argument for another buffer or another number of values.
  void set(const std::string& name, std::span<const float> values);
  /// An adapter, a gradient, a moment or a result; waits for the device.
  std::vector<float> get(const std::string& name);
  /// All adapters by name; waits.
  std::map<std::string, std::vector<float>> adapters();

  /// Checks, packs into pinned memory, enqueues one copy. Throws std::invalid_argument for inputs that do not
  /// fit (step_inputs.hpp); what was loaded before then stays.
  void load(const StepInputs& inputs);
  /// Enqueues a step. Throws std::logic_error without inputs, std::invalid_argument for a weight that is not
  /// bound, std::runtime_error as fail_after_warm_up says or when a launch fails.
  void run();
  /// Of the last step; waits for it. The only call a training loop waits in.
  float loss();

  /// Milliseconds of each operation that calls kernels, by events around each operation of one walk outside
  /// the graph: a real step, which moves the adapters. Where an operation is shorter than its launch, the
  /// launch is what is measured. Waits; the graph must have been captured.
  struct OpTime {
    std::size_t op = 0;  ///< index in the list
    double ms = 0.0;
  };
  std::vector<OpTime> profile();

  const StepPlan& plan() const { return plan_; }
  const StepCounters& counters() const { return watch_.counters(); }
  std::size_t graph_nodes() const;
  cudaStream_t stream() const;

 private:
  struct Device;  ///< stream, memory, graph, kernels
  void make_ready();
  void note_stale(const std::string& name, bool changed);
  WorkDone work_done() const;
  template <class Work>
  void watched(const Work& work);
  const Buffer& owned(const std::string& name, std::size_t& offset) const;

  StepPlan plan_;
  StepWatch watch_;
  std::unique_ptr<Device> device_;
  std::string stale_;  ///< why the graph must be captured anew; empty: it must not
  bool loaded_ = false;
};

}  // namespace assay::kernels::compile
