// SPDX-License-Identifier: Apache-2.0
// Samples by CUDA events: a graph of many calls, and single calls after a flush.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "harness/measure/cuda_handles.hpp"
#include "harness/measure/sampler.hpp"
#include "harness/measure/sizing.hpp"

namespace assay::harness {
namespace {

void call_checked(const Invocation& call, Stream stream) {
  call(stream);
  // A launch that failed leaves the output as it was and would be timed as very fast.
  ASSAY_HARNESS_CUDA(cudaGetLastError());
}

double host_us(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

/// Runs every set once and returns how long the host takes to queue one call, module loading left out.
double warm_up(const std::vector<Invocation>& calls, const Stage& stage) {
  for (const Invocation& call : calls) {
    call_checked(call, stage.stream());
  }
  stage.synchronize();
  const double us = host_us([&] { call_checked(calls.front(), stage.stream()); });
  stage.synchronize();
  return us;
}

std::vector<std::string> lateness(const EventTimer& timer, std::int64_t samples) {
  if (timer.late() == 0) {
    return {};
  }
  return {fmt::format(
      "in {} of {} samples the device started before the host had queued the work: launch latency "
      "may be inside",
      timer.late(), samples)};
}

bool capture_is_broken(Stream stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  ASSAY_HARNESS_CUDA(cudaStreamIsCapturing(stream, &status));
  return status != cudaStreamCaptureStatusActive;
}

[[noreturn]] void refuse(const std::string& found) {
  throw std::runtime_error(
      "expected calls that a CUDA graph can capture, found " + found +
      "; the call allocates, synchronises or leaves its stream: declare it and time it in wall mode");
}

/// Runs one call into the capture. What it throws passes through, except that the first error it met is the
/// capture's and then the reason is what a reader needs.
void capture_call(const Invocation& call, Stream stream) {
  try {
    call(stream);
  } catch (const std::exception& error) {
    if (capture_is_broken(stream)) {
      refuse(error.what());
    }
    throw;
  }
  if (capture_is_broken(stream)) {
    refuse(cudaGetErrorString(cudaErrorStreamCaptureInvalidated));
  }
}

Graph capture_passes(const std::vector<Invocation>& calls, const Stage& stage, std::int64_t passes) {
  Capture capture(stage.stream());
  for (std::int64_t pass = 0; pass < passes; ++pass) {
    for (const Invocation& call : calls) {
      capture_call(call, stage.stream());
    }
  }
  cudaError_t error = cudaSuccess;
  Graph graph = capture.end(&error);
  if (error != cudaSuccess || graph.get() == nullptr) {
    refuse(cudaGetErrorString(error));  // work forked to another stream and never joined, for one
  }
  std::size_t nodes = 0;
  ASSAY_HARNESS_CUDA(cudaGraphGetNodes(graph.get(), nullptr, &nodes));
  if (nodes == 0) {
    throw std::runtime_error(
        "expected work in the captured graph, found none: the call enqueues nothing on the stream it is "
        "given");
  }
  return graph;
}

/// Device time of one pass over the rotation, everything warm.
double pass_us(const std::vector<Invocation>& calls, const Stage& stage) {
  const double queue_us = warm_up(calls, stage);
  EventTimer timer(queue_us * static_cast<double>(calls.size()));
  return 1e-3 * timer.time_ns(stage.stream(), [&] {
    for (const Invocation& call : calls) {
      call(stage.stream());
    }
  });
}

class GraphSampler final : public Sampler {
 public:
  GraphSampler(const std::vector<Invocation>& calls, Stage& stage, std::int64_t passes)
      : stage_(stage),
        calls_per_launch_(static_cast<double>(passes) * static_cast<double>(calls.size())),
        graph_(capture_passes(calls, stage, passes)),
        exec_(graph_),
        timer_(launch_us()) {}

  double sample_ns(std::int64_t) override {
    ++samples_;
    const auto launch = [&] { ASSAY_HARNESS_CUDA(cudaGraphLaunch(exec_, stage_.stream())); };
    return timer_.time_ns(stage_.stream(), launch) / calls_per_launch_;
  }

  std::vector<std::string> notes() const override { return lateness(timer_, samples_); }

 private:
  /// Uploads and warms the graph; returns how long the host takes to launch it.
  double launch_us() {
    ASSAY_HARNESS_CUDA(cudaGraphUpload(exec_, stage_.stream()));
    double us = 0;
    for (int warm = 0; warm < 2; ++warm) {
      us = host_us([&] { ASSAY_HARNESS_CUDA(cudaGraphLaunch(exec_, stage_.stream())); });
      stage_.synchronize();
    }
    return us;
  }

  Stage& stage_;
  double calls_per_launch_;
  Graph graph_;
  GraphExec exec_;
  EventTimer timer_;
  std::int64_t samples_ = 0;
};

class ColdCudaSampler final : public Sampler {
 public:
  ColdCudaSampler(const std::vector<Invocation>& calls, Stage& stage)
      : calls_(calls), stage_(stage), timer_(warm_up(calls, stage)) {
    // Lines that something earlier made persistent would survive every flush.
    int device = 0, persisting_bytes = 0;
    ASSAY_HARNESS_CUDA(cudaGetDevice(&device));
    ASSAY_HARNESS_CUDA(
        cudaDeviceGetAttribute(&persisting_bytes, cudaDevAttrMaxPersistingL2CacheSize, device));
    if (persisting_bytes > 0) {
      ASSAY_HARNESS_CUDA(cudaCtxResetPersistingL2Cache());
    }
  }

  double sample_ns(std::int64_t round) override {
    ++samples_;
    const Invocation& call = calls_[static_cast<std::size_t>(round) % calls_.size()];
    stage_.flush();
    return timer_.time_ns(stage_.stream(), [&] { call_checked(call, stage_.stream()); });
  }

  std::vector<std::string> notes() const override { return lateness(timer_, samples_); }

 private:
  const std::vector<Invocation>& calls_;
  Stage& stage_;
  EventTimer timer_;
  std::int64_t samples_ = 0;
};

}  // namespace

SamplerPair make_graph_samplers(const Sides& sides, Stage& stage, double target_us) {
  constexpr std::int64_t kMostCalls = 4096;  // a graph of so many nodes instantiates in milliseconds
  const auto sets = static_cast<std::int64_t>(sides.candidate.size());
  const SampleUnits passes =
      matched_units(target_us, pass_us(sides.candidate, stage), pass_us(sides.baseline, stage),
                    std::max<std::int64_t>(1, kMostCalls / sets));
  return {std::make_unique<GraphSampler>(sides.candidate, stage, passes.candidate),
          std::make_unique<GraphSampler>(sides.baseline, stage, passes.baseline)};
}

SamplerPair make_cuda_cold_samplers(const Sides& sides, Stage& stage) {
  return {std::make_unique<ColdCudaSampler>(sides.candidate, stage),
          std::make_unique<ColdCudaSampler>(sides.baseline, stage)};
}

}  // namespace assay::harness
