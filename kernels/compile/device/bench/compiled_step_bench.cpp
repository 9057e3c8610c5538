// SPDX-License-Identifier: Apache-2.0
// compiled_step_bench: a captured QLoRA step with random weights, or a checkpoint's, on this GPU.
// Milliseconds a step (CUDA events around input copy and graph, median), tokens a second, memory, time to the
// first step, counters, the products found, and on request what each kind of operation takes. `--json` keeps
// it; usage: bench_options.cpp.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>
#include <random>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/checkpoint/device/device_weights.hpp"
#include "kernels/compile/checkpoint/step_checkpoint.hpp"
#include "kernels/compile/device/bench/bench_options.hpp"
#include "kernels/compile/device/bench/length_mix.hpp"
#include "kernels/compile/device/bench/random_weights.hpp"
#include "kernels/compile/device/bench/report.hpp"
#include "kernels/compile/device/device_memory.hpp"
#include "kernels/compile/device/device_step.hpp"

namespace assay::kernels::compile::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUpSteps = 3;
/// How many steps the host runs ahead; fewer than there are slots for inputs, so that no step waits.
constexpr std::size_t kAhead = 4;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::size_t free_bytes() {
  std::size_t free = 0, total = 0;
  ASSAY_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free;
}

/// Random tokens of one step, the next token as label.
struct Batch {
  Batch(const Lengths& lengths, std::int64_t vocab, int number) {
    std::minstd_rand random(static_cast<unsigned>(number) + 1);
    std::uniform_int_distribution<std::int64_t> token(0, vocab - 1);
    boundaries.push_back(0);
    for (const std::int64_t length : lengths) {
      for (std::int64_t i = 0; i < length; ++i) tokens.push_back(token(random));
      for (std::int64_t i = 1; i < length; ++i)
        labels.push_back(tokens[static_cast<std::size_t>(boundaries.back() + i)]);
      labels.push_back(-100);
      boundaries.push_back(boundaries.back() + static_cast<std::int32_t>(length));
    }
  }
  StepInputs inputs(int number) const {
    return {.tokens = tokens,
            .labels = labels,
            .boundaries = boundaries,
            .positions = {},
            .settings = {.learning_rate = 1e-4f,
                         .step = static_cast<float>(number),
                         .weight_decay = 0.0f,
                         .largest_norm = 1.0f}};
  }

  std::vector<std::int64_t> tokens, labels;
  std::vector<std::int32_t> boundaries;
};

struct Timings {
  std::vector<double> ms;
  std::int64_t tokens = 0;
  float first_loss = 0, last_loss = 0;
  double first_step_s = 0;

  double median_ms() const {
    std::vector<double> sorted = ms;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
  /// Real tokens: padding does not count.
  double tokens_per_s() const {
    return static_cast<double>(tokens) / (1e-3 * std::accumulate(ms.begin(), ms.end(), 0.0));
  }
};

/// Steps of unlike lengths, the host a few ahead of the device. All inputs are made before the clock runs.
Timings time_steps(DeviceStep& step, const std::vector<Lengths>& lengths, std::int64_t vocab,
                   Clock::time_point begin) {
  std::vector<Batch> batches;
  for (std::size_t i = 0; i < lengths.size(); ++i)
    batches.emplace_back(lengths[i], vocab, static_cast<int>(i));
  std::vector<Event> begins(lengths.size()), ends(lengths.size());
  Timings timings;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (i >= kAhead)
      ASSAY_CUDA_CHECK(cudaEventSynchronize(ends[i - kAhead].get()));
    begins[i].record(step.stream());
    step.load(batches[i].inputs(static_cast<int>(i) + 1));
    step.run();
    ends[i].record(step.stream());
    if (i == 0) {
      timings.first_loss = step.loss();
      timings.first_step_s = seconds_since(begin);
    }
  }
  timings.last_loss = step.loss();
  for (std::size_t i = kWarmUpSteps; i < batches.size(); ++i) {
    timings.ms.push_back(Event::milliseconds(begins[i], ends[i]));
    timings.tokens += std::ssize(batches[i].tokens);
  }
  return timings;
}

/// Products like whole tiles of rows.
std::int64_t step_tokens(const MixCapacity& capacity) {
  return (capacity.tokens + 127) / 128 * 128;
}

/// None without --model.
std::optional<checkpoint::StepCheckpoint> open_checkpoint(const BenchOptions& options,
                                                          const MixCapacity& capacity) {
  if (options.model.empty())
    return std::nullopt;
  checkpoint::CheckpointOptions asked;
  asked.tokens = step_tokens(capacity), asked.sequences = capacity.sequences;
  asked.compute = options.compute, asked.keep = options.keep;
  asked.packed_base = options.packed_base, asked.adapters_begin = options.adapters_begin;
  asked.lora.rank = options.rank, asked.lora.alpha = 2.0 * static_cast<double>(options.rank);
  return checkpoint::StepCheckpoint(options.model, asked);
}

/// A checkpoint's, or random ones.
struct Weights {
  std::unique_ptr<DeviceMemory> random = {};
  std::unique_ptr<checkpoint::DeviceWeights> loaded = {};

  std::size_t bytes() const { return random ? random->bytes() : loaded->bytes(); }
};
Weights bind_weights(DeviceStep& step, const std::optional<checkpoint::StepCheckpoint>& model,
                     const BenchOptions& options) {
  if (!model) {
    Weights weights{.random = bind_random_weights(step, rope_theta(options.shape))};
    set_random_adapters(step);
    return weights;
  }
  Weights weights{.loaded = std::make_unique<checkpoint::DeviceWeights>(step)};
  model->load(weights.loaded->sink());
  weights.loaded->wait();
  return weights;
}

StepOptions step_options(const BenchOptions& options, const MixCapacity& capacity) {
  StepOptions step;
  step.shape = shape_of(options);
  step.tokens = step_tokens(capacity);
  step.sequences = capacity.sequences;
  step.lora_scale = 2.0;
  step.keep = options.keep;
  step.packed_base = options.packed_base;
  step.adapters_begin = options.adapters_begin;
  return step;
}

Json measure(const BenchOptions& options) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0)
    throw std::runtime_error("expected a GPU, found none");
  ASSAY_CUDA_CHECK(cudaFree(nullptr));  // the context's own memory is not the step's
  const std::size_t free_before = free_bytes();
  const Clock::time_point begin = Clock::now();
  const std::vector<Lengths> lengths = lengths_of_steps(options, options.steps + kWarmUpSteps);
  const MixCapacity capacity = capacity_of(lengths);
  const auto model = open_checkpoint(options, capacity);
  const StepOptions list = model ? model->step_options() : step_options(options, capacity);
  DeviceStep step(step_program(list), {.compute = options.compute,
                                       .longest_sequence = capacity.longest,
                                       .chunk_rows = options.chunk_rows,
                                       .program_cache = options.cache,
                                       .fail_after_warm_up = true});
  const Weights weights = bind_weights(step, model, options);
  const double ready_s = seconds_since(begin);
  const Timings timings = time_steps(step, lengths, list.shape.vocab, begin);
  const std::size_t used = free_before - free_bytes();
  if (!options.adapter_out.empty())
    model->save_adapters(options.adapter_out, [&](const std::string& name) { return step.get(name); });

  Json result = described(options, capacity);
  result["step_ms_median"] = timings.median_ms();
  result["step_ms"] = timings.ms;
  result["tokens_per_s"] = timings.tokens_per_s();
  result["ready_s"] = ready_s;  // weights loaded or made
  result["first_step_s"] = timings.first_step_s;
  result["first_step_without_weights_s"] = timings.first_step_s - ready_s;
  result["device_bytes"] = used;
  result["arena_bytes"] = step.plan().layout().arena_bytes;
  result["step_bytes"] = step.plan().layout().bytes;
  result["weight_bytes"] = weights.bytes();
  result["chunk_rows"] = step.plan().chunk_rows();
  result["operations"] = step.plan().program().ops.size();
  result["graph_nodes"] = step.graph_nodes();
  result["first_loss"] = timings.first_loss;
  result["last_loss"] = timings.last_loss;
  if (options.profile)
    add_profile(step, result);
  result["counters"] = counted(step.counters());
  result["products"] = products();
  return result;
}

void write(const std::filesystem::path& file, const Json& result) {
  std::ofstream out(file);
  out << result.dump(2) << "\n";
  if (!out.flush())
    throw std::runtime_error("expected to write " + file.string() + ", found no room or no permission");
}

}  // namespace
}  // namespace assay::kernels::compile::bench

int main(int count, char** words) {
  using namespace assay::kernels::compile::bench;
  try {
    const BenchOptions options = parse_options({words + 1, static_cast<std::size_t>(count - 1)});
    const Json result = measure(options);
    print(result);
    if (!options.json.empty())
      write(options.json, result);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "compiled_step_bench: " << error.what() << "\n";
    return 1;
  }
}
