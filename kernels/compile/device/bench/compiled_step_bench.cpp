// SPDX-License-Identifier: Apache-2.0
// compiled_step_bench: a captured QLoRA step with random weights on this GPU. Milliseconds a step (CUDA
// events around input copy and graph, median), tokens a second, memory, time to the first step, counters, the
// products found, and on request what each kind of operation takes. `--json` keeps it; usage:
// bench_options.cpp.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "kernels/common/cuda_check.hpp"
#include "kernels/compile/device/bench/bench_options.hpp"
#include "kernels/compile/device/bench/length_mix.hpp"
#include "kernels/compile/device/bench/random_weights.hpp"
#include "kernels/compile/device/device_memory.hpp"
#include "kernels/compile/device/device_step.hpp"
#include "kernels/compile/device/op_work.hpp"

namespace assay::kernels::compile::bench {
namespace {

using Json = nlohmann::ordered_json;
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

StepOptions step_options(const BenchOptions& options, const MixCapacity& capacity) {
  StepOptions step;
  step.shape = shape_of(options);
  // Products like whole tiles of rows.
  step.tokens = (capacity.tokens + 127) / 128 * 128;
  step.sequences = capacity.sequences;
  step.lora_scale = 2.0;
  step.keep = options.keep;
  step.packed_base = options.packed_base;
  return step;
}

Json described(const BenchOptions& options, const MixCapacity& capacity) {
  cudaDeviceProp properties{};
  int device = 0, driver = 0, runtime = 0;
  ASSAY_CUDA_CHECK(cudaGetDevice(&device));
  ASSAY_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  ASSAY_CUDA_CHECK(cudaDriverGetVersion(&driver));
  ASSAY_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  return {{"gpu", properties.name},
          {"cuda_driver", driver},
          {"cuda_runtime", runtime},
          {"shape", options.shape},
          {"packed", options.packed},
          {"keep", name_of(options.keep)},
          {"type", options.compute == ComputeType::kBfloat16 ? "bf16" : "f16"},
          {"base", options.packed_base ? "nf4" : "dense"},
          {"rank", options.rank},
          {"most_tokens", capacity.tokens},
          {"most_sequences", capacity.sequences},
          {"longest", capacity.longest}};
}

Json products() {
  Json all = Json::array();
  for (const MatmulSearch& s : matmul_searches())
    all.push_back({{"product", s.product},
                   {"proposals", s.proposals},
                   {"winner", s.winner},
                   {"first_us", s.first_us},
                   {"winner_us", s.winner_us}});
  return all;
}

Json counted(const StepCounters& c) {
  return {{"steps", c.steps},       {"compilations", c.compilations}, {"programs_loaded", c.programs_loaded},
          {"searches", c.searches}, {"captures", c.captures},         {"waits", c.waits},
          {"reasons", c.reasons}};
}

/// Times of one walk, summed over operations alike.
struct Sum {
  int count = 0;
  double ms = 0;
  OpWork work;

  void add(double time_ms, const OpWork& of_op) {
    ++count, ms += time_ms, work.flops += of_op.flops, work.bytes += of_op.bytes;
  }
  Json json() const {
    Json j = {{"count", count}, {"ms", ms}, {"gb_per_s", 1e-6 * work.bytes / ms}};
    if (work.flops > 0)
      j["tflop_per_s"] = 1e-9 * work.flops / ms;
    return j;
  }
};

/// By kind (products of adapters apart), and products by shape.
void profile(DeviceStep& step, Json& result) {
  const Program& program = step.plan().program();
  std::map<std::string, Sum> kinds, shapes;
  Sum all;
  for (const auto& [index, ms] : step.profile()) {
    const Op& op = program.ops[index];
    const OpWork work = work_of(program, op, 2);
    all.add(ms, work);
    kinds[name_of(op.kind) + std::string(is_adapter_product(program, op) ? "_of_adapters" : "")].add(ms,
                                                                                                     work);
    if (op.kind == OpKind::kMatmul)
      shapes[shape_of(program, op)].add(ms, work);
  }
  kinds["total"] = all;
  for (const auto& [name, sum] : kinds) result["profile"][name] = sum.json();
  for (const auto& [name, sum] : shapes) result["profile_products"][name] = sum.json();
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
  const StepOptions list = step_options(options, capacity);
  DeviceStep step(step_program(list), {.compute = options.compute,
                                       .longest_sequence = capacity.longest,
                                       .chunk_rows = options.chunk_rows,
                                       .program_cache = options.cache,
                                       .fail_after_warm_up = true});
  const auto weights = bind_random_weights(step, rope_theta(options.shape));
  set_random_adapters(step);
  const double ready_s = seconds_since(begin);
  const Timings timings = time_steps(step, lengths, list.shape.vocab, begin);
  const std::size_t used = free_before - free_bytes();

  Json result = described(options, capacity);
  result["step_ms_median"] = timings.median_ms();
  result["step_ms"] = timings.ms;
  result["tokens_per_s"] = timings.tokens_per_s();
  result["first_step_s"] = timings.first_step_s;
  result["first_step_without_weights_s"] = timings.first_step_s - ready_s;
  result["device_bytes"] = used;
  result["arena_bytes"] = step.plan().layout().arena_bytes;
  result["step_bytes"] = step.plan().layout().bytes;
  result["weight_bytes"] = weights->bytes();
  result["chunk_rows"] = step.plan().chunk_rows();
  result["operations"] = step.plan().program().ops.size();
  result["graph_nodes"] = step.graph_nodes();
  result["first_loss"] = timings.first_loss;
  result["last_loss"] = timings.last_loss;
  if (options.profile)
    profile(step, result);
  result["counters"] = counted(step.counters());
  result["products"] = products();
  return result;
}

void print(const Json& r) {
  const auto number = [&](const char* name) { return r[name].get<double>(); };
  const auto gib = [&](const char* name) { return number(name) / (1 << 30); };
  std::printf("%s, %s, keep %s, %s, %s: %.3f ms a step (median of %zu), %.0f tokens/s\n",
              r["gpu"].get<std::string>().c_str(), r["shape"].get<std::string>().c_str(),
              r["keep"].get<std::string>().c_str(), r["base"].get<std::string>().c_str(),
              r["type"].get<std::string>().c_str(), number("step_ms_median"), r["step_ms"].size(),
              number("tokens_per_s"));
  std::printf("memory %.2f GiB (arena %.2f, weights %.2f), first step after %.1f s (%.1f without weights)\n",
              gib("device_bytes"), gib("arena_bytes"), gib("weight_bytes"), number("first_step_s"),
              number("first_step_without_weights_s"));
  std::printf("loss %.4f to %.4f, %lld graph nodes, counters %s\n", number("first_loss"), number("last_loss"),
              static_cast<long long>(number("graph_nodes")), r["counters"].dump().c_str());
  for (const char* part : {"profile", "profile_products"})
    if (r.contains(part))
      for (const auto& [name, sum] : r[part].items())
        std::printf("  %-34s %9.3f ms, %d times, %.0f GB/s, %.0f TFLOP/s\n", name.c_str(),
                    sum["ms"].get<double>(), sum["count"].get<int>(), sum["gb_per_s"].get<double>(),
                    sum.value("tflop_per_s", 0.0));
  for (const Json& p : r["products"])
    std::printf("  %s: %d of %d, %.1f µs against %.1f\n", p["product"].get<std::string>().c_str(),
                p["winner"].get<int>(), p["proposals"].get<int>(), p["winner_us"].get<double>(),
                p["first_us"].get<double>());
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
