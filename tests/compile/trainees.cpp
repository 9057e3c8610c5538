// SPDX-License-Identifier: Apache-2.0
#include "tests/compile/trainees.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "kernels/compile/checkpoint/device/placed_weights.hpp"
#include "kernels/compile/device/rounding.hpp"
#include "kernels/compile/device/walk.hpp"
#include "kernels/compile/eager/eager_weights.hpp"
#include "tests/compile/host_kernels.hpp"

namespace assay::testing {

using namespace kernels::compile;              // NOLINT: whose steps these are
using namespace kernels::compile::checkpoint;  // NOLINT

namespace {

at::ScalarType scalar_type(ComputeType type) {
  return type == ComputeType::kFloat16    ? at::kHalf
         : type == ComputeType::kBfloat16 ? at::kBFloat16
                                          : at::kFloat;
}

class EagerTrainee final : public Trainee {
 public:
  EagerTrainee(const StepCheckpoint& checkpoint, ComputeType compute)
      : tokens_(checkpoint.step_options().tokens),
        sequences_(checkpoint.step_options().sequences),
        step_(checkpoint.program(), scalar_type(compute)),
        weights_(step_, scalar_type(compute)) {}

  WeightSink& weights() override { return weights_; }
  void run(const StepInputs& inputs) override {
    if (std::ssize(inputs.tokens) != tokens_)
      throw std::invalid_argument("eager trainee: expected inputs that fill the step");
    bind("tokens", inputs.tokens, at::kLong, tokens_, 0);
    bind("labels", inputs.labels, at::kLong, tokens_, -100);
    bind("boundaries", inputs.boundaries, at::kInt, sequences_ + 1, inputs.boundaries.back());
    std::vector<std::int32_t> positions;
    for (std::size_t i = 0; i + 1 < inputs.boundaries.size(); ++i)
      for (std::int32_t t = inputs.boundaries[i]; t < inputs.boundaries[i + 1]; ++t)
        positions.push_back(t - inputs.boundaries[i]);
    bind("positions", std::span<const std::int32_t>(positions), at::kInt, tokens_, 0);
    const StepSettings& s = inputs.settings;
    step_.bind("settings", at::tensor({s.learning_rate, s.step, s.weight_decay, s.largest_norm}));
    step_.run();
  }
  float loss() override { return step_.tensor("loss").item<float>(); }
  std::vector<float> adapter(const std::string& buffer) override {
    const at::Tensor tensor = step_.tensor(buffer).contiguous();
    return {tensor.const_data_ptr<float>(), tensor.const_data_ptr<float>() + tensor.numel()};
  }

 private:
  template <class T>
  void bind(const std::string& name, std::span<const T> values, at::ScalarType type, std::int64_t count,
            std::int64_t filler) {
    const at::Tensor tensor = at::full({count}, filler, type);
    std::ranges::copy(values, tensor.mutable_data_ptr<T>());
    step_.bind(name, tensor);
  }

  std::int64_t tokens_, sequences_;
  EagerStep step_;
  EagerWeights weights_;
};

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory aligned_memory(std::size_t bytes) {
  Memory memory(static_cast<std::byte*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256)));
  if (memory == nullptr)
    throw std::bad_alloc();
  return memory;
}

class HostTrainee final : public Trainee, WeightOwner {
 public:
  HostTrainee(const StepCheckpoint& checkpoint, ComputeType compute)
      : plan_(checkpoint.program(), {.compute = compute}),
        memory_(aligned_memory(plan_.layout().bytes)),
        kernels_(compute),
        weights_(plan_.program(), *this) {
    std::memset(memory_.get(), 0xff, plan_.layout().arena_bytes);
    std::memset(memory_.get() + plan_.layout().state, 0, plan_.layout().bytes - plan_.layout().state);
    plan_.place(memory_.get());
  }

  WeightSink& weights() override { return weights_; }
  void run(const StepInputs& inputs) override {
    plan_.check_bound();
    check(inputs, capacity_of(plan_));
    pack(inputs, plan_, memory_.get() + plan_.layout().inputs);
    walk(plan_, kernels_, WalkPart::kWhole);
  }
  float loss() override { return *at("loss"); }
  std::vector<float> adapter(const std::string& buffer) override {
    const Buffer& b = plan_.program().buffers[static_cast<std::size_t>(plan_.program().find(buffer))];
    return {at(buffer), at(buffer) + b.rows * b.columns};
  }

 private:
  std::byte* allocate(std::size_t bytes) override {
    std::byte* const made = frozen_.emplace_back(aligned_memory(bytes)).get();
    std::memset(made, 0xff, bytes);
    return made;
  }
  void copy(std::byte* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void bind(const std::string& name, const void* data) override { plan_.bind(name, data); }
  void bind(const std::string& name, const kernels::nf4::PackedWeights& weights) override {
    plan_.bind(name, weights);
  }
  void set(const std::string& name, std::span<const float> adapter) override {
    std::ranges::copy(adapter, at(name));
    std::ranges::copy(rounded(adapter, plan_.options().compute),
                      reinterpret_cast<std::uint16_t*>(at(name + ".copy")));
  }
  float* at(const std::string& name) const {
    const auto index = static_cast<std::size_t>(plan_.program().find(name));
    return reinterpret_cast<float*>(memory_.get() + plan_.layout().offsets[index]);
  }

  StepPlan plan_;
  Memory memory_;
  std::vector<Memory> frozen_;
  HostKernels kernels_;
  PlacedWeights weights_;
};

}  // namespace

std::unique_ptr<Trainee> make_eager_trainee(const StepCheckpoint& checkpoint, ComputeType compute) {
  return std::make_unique<EagerTrainee>(checkpoint, compute);
}
std::unique_ptr<Trainee> make_host_trainee(const StepCheckpoint& checkpoint, ComputeType compute) {
  return std::make_unique<HostTrainee>(checkpoint, compute);
}

}  // namespace assay::testing
