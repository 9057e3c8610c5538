// SPDX-License-Identifier: Apache-2.0
// `bench`: every (challenge, case, implementation) as a Google Benchmark with manual time, so that its flags,
// its JSON and its compare.py work. Iterations are cold-free single calls on rotated sets; counters carry
// speedup, memory and error.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "harness/cli/commands.hpp"
#include "harness/cli/selection.hpp"
#include "harness/core/outside.hpp"
#include "harness/core/registry.hpp"
#include "harness/measure/cuda_handles.hpp"
#include "harness/memory/memory.hpp"
#include "harness/run/prepare.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness::cli {
namespace {

struct Row {
  const Challenge* challenge;
  const Case* which;
  const Implementation* implementation;
  const DeviceInfo* device;
};

/// First headline baseline that can run the case; null when there is none.
const Implementation* baseline_for(const Row& row) {
  for (const Implementation& i : row.challenge->implementations) {
    if (!i.headline_baseline || i.device != row.device->kind || &i == row.implementation)
      continue;
    if (!i.unsupported || !i.unsupported(*row.which, row.device->facts()))
      return &i;
  }
  return nullptr;
}

/// nullopt: passed; else what to tell Google Benchmark.
std::optional<std::string> verified(const Row& row, benchmark::State& state) {
  const CaseData first(*row.challenge, *row.which, row.which->seed),
      second(*row.challenge, *row.which, row.which->seed + 7919);
  const VerifyResult result = verify(*row.challenge, *row.which, *row.implementation, first.inputs,
                                     second.inputs, first.oracle, second.oracle, nullptr);
  if (const auto* passed = std::get_if<Passed>(&result.outcome)) {
    state.counters["rel_err"] = passed->parity.rel_err;
    state.counters["mismatches"] = static_cast<double>(passed->parity.mismatches);
    return std::nullopt;
  }
  return outcome_name(result.outcome) + ": " + outcome_reason(result.outcome);
}

/// Seconds of one call: device events on CUDA, the host clock elsewhere.
class Stopwatch {
 public:
  explicit Stopwatch(const DeviceInfo& device) : stream_(device.kind) {
    if (device.kind == DeviceKind::kCuda)
      events_.emplace(20.0);
  }
  double seconds(const Invocation& call) {
    if (events_)
      return 1e-9 * events_->time_ns(stream_, [&] { call(stream_); });
    const auto start = std::chrono::steady_clock::now();
    call(stream_);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  OwnedStream stream_;
  std::optional<EventTimer> events_;
};

/// As many as take a millisecond, beside which the request and its answer are short.
std::int64_t calls_in_window(const RemoteCalls& calls) {
  calls.window_ns(0, 1, 0);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(1e6 / calls.window_ns(0, 1, 1)), 1, 1000);
}

double seconds_in_window(const RemoteCalls& calls, std::int64_t first, std::int64_t count) {
  return 1e-9 * calls.window_ns(first, count, first) / static_cast<double>(count);
}

void run_row(benchmark::State& state, const Row& row) {
  if (const auto fault = verified(row, state))
    return state.SkipWithError(fault->c_str());
  const int count = sets_for_case(*row.challenge, *row.which, *row.device);
  const auto inputs = make_input_sets(*row.challenge, *row.which, *row.device, count);
  auto outputs = make_output_sets(*row.challenge, *row.which, *row.device,
                                  row.implementation->prepare_remote ? 0 : count);
  const Prepared prepared = prepare_on_all(*row.implementation, *row.which, inputs, outputs);
  const Memory memory = prepared.remote ? prepared.remote->memory()
                                        : measure_memory(prepared.allocating.front(), row.device->kind,
                                                         static_cast<std::int64_t>(outputs.front().bytes()));
  state.counters["peak_bytes"] = static_cast<double>(memory.peak_bytes);
  if (const Implementation* baseline = baseline_for(row)) {
    auto theirs =
        make_output_sets(*row.challenge, *row.which, *row.device, baseline->prepare_remote ? 0 : count);
    const Prepared other = prepare_on_all(*baseline, *row.which, inputs, theirs);
    MeasureOptions options;
    options.budget_seconds = 0.5;
    const Timing timing = measure_pair(TimeMode::kGraph, prepared, other, *row.device, options);
    if (timing.speedup)
      state.counters["speedup"] = timing.speedup->median;
    state.SetLabel("against " + baseline->name);
  }
  Stopwatch stopwatch(*row.device);
  const std::int64_t window = prepared.remote ? calls_in_window(*prepared.remote) : 1;
  std::size_t next = 0;
  for (auto _ : state) {
    const auto set = static_cast<std::int64_t>(next++ % inputs.size());
    state.SetIterationTime(prepared.remote ? seconds_in_window(*prepared.remote, set, window)
                                           : stopwatch.seconds(prepared.into[static_cast<std::size_t>(set)]));
  }
  state.SetBytesProcessed(state.iterations() * row.challenge->work(*row.which).bytes);
}

/// A row that ends in a process of its own ends alone.
void run_row_or_say(benchmark::State& state, const Row& row) {
  try {
    run_row(state, row);
  } catch (const RowEnded& ended) {
    state.SkipWithError((outcome_name(ended.outcome) + ": " + ended.text).c_str());
  }
}

void register_rows(const std::vector<Challenge>& challenges, const RunOptions& options,
                   const std::vector<std::unique_ptr<DeviceInfo>>& devices, int& count) {
  for (const Challenge& challenge : challenges) {
    for (const Case& which : challenge.cases) {
      for (const Implementation& i : challenge.implementations) {
        for (const auto& device : devices) {
          const bool runs_there =
              std::find(which.devices.begin(), which.devices.end(), device->kind) != which.devices.end();
          if (i.device != device->kind || !runs_there || !selected(options, challenge, which, i))
            continue;
          if (options.filters.empty() && !which.measured)
            continue;
          if (i.unsupported && i.unsupported(which, device->facts()))
            continue;
          const Row row{&challenge, &which, &i, device.get()};
          benchmark::RegisterBenchmark((challenge.name + "/" + which.name + "/" + i.name).c_str(),
                                       [row](benchmark::State& state) { run_row_or_say(state, row); })
              ->UseManualTime()
              ->Unit(benchmark::kMicrosecond);
          ++count;
        }
      }
    }
  }
}

}  // namespace

int bench(const Common& common, const std::vector<std::string>& benchmark_flags) {
  std::vector<std::string> words = {"assay"};
  words.insert(words.end(), benchmark_flags.begin(), benchmark_flags.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  int argc = static_cast<int>(argv.size());
  benchmark::Initialize(&argc, argv.data());
  if (argc > 1)
    throw UsageError(std::string("bench: unknown option ") + argv[1] + "; expected --benchmark_* flags");
  RunOptions options = options_of(common);
  std::vector<Challenge> made;
  const std::vector<Challenge>& challenges = challenges_for(common, options, made);
  std::vector<std::unique_ptr<DeviceInfo>> devices;
  for (const DeviceKind kind : options.devices)
    devices.push_back(std::make_unique<DeviceInfo>(describe(kind)));
  int count = 0;
  register_rows(challenges, options, devices, count);
  if (count == 0)
    throw UsageError("no case matches the filter on the chosen device; `assay list` shows what there is");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace assay::harness::cli
