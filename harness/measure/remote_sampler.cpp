// SPDX-License-Identifier: Apache-2.0
// Samples of calls that another process makes.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "harness/core/outside.hpp"
#include "harness/measure/sampler.hpp"
#include "harness/measure/sizing.hpp"

namespace assay::harness {
namespace {

// A request and its answer take 10 to 36 µs (2 shared cores, 2026-11) and are inside each window of both
// sides. They are not subtracted, because how long an empty request takes is up to the process that is
// judged.
constexpr double kCpuTargetUs = 1000.0;
constexpr double kCudaTargetUs = 5000.0;

class RemoteSampler final : public Sampler {
 public:
  RemoteSampler(const RemoteCalls& calls, std::int64_t count, std::int64_t offset, std::int64_t stride)
      : calls_(calls), count_(count), offset_(offset), stride_(stride) {
    calls_.window_ns(0, count_, 0);  // what a process makes ready for windows of this size
  }

  double sample_ns(std::int64_t round) override {
    const std::int64_t first = (offset_ + round * stride_) % calls_.sets;
    return std::max(1.0, calls_.window_ns(first, count_, round)) / static_cast<double>(count_);
  }

  std::vector<std::string> notes() const override {
    return {fmt::format(
        "timed in windows of {} calls in a process of its own, with the request and its answer", count_)};
  }

 private:
  const RemoteCalls& calls_;
  std::int64_t count_, offset_, stride_;
};

/// Fastest of a few, as an interrupted call must not decide the size of all windows.
double call_us(const RemoteCalls& calls, std::int64_t count) {
  double fastest = calls.window_ns(0, count, 0);
  for (int i = 1; i < 4; ++i)
    fastest = std::min(fastest, calls.window_ns(count == 1 ? i % calls.sets : 0, count, i));
  return fastest / 1000.0 / static_cast<double>(count);
}

}  // namespace

SamplerPair make_remote_samplers(const RemoteCalls& candidate, const RemoteCalls& baseline,
                                 DeviceKind device) {
  const std::int64_t sets = candidate.sets;
  if (sets < 1 || baseline.sets != sets)
    throw std::invalid_argument("make_remote_samplers: expected both sides on the sets of one rotation");
  if (device == DeviceKind::kCuda) {
    constexpr std::int64_t kMostCalls = 4096;  // a graph of so many nodes instantiates in milliseconds
    const double passes_us = static_cast<double>(sets);
    const SampleUnits passes =
        matched_units(kCudaTargetUs, passes_us * call_us(candidate, sets),
                      passes_us * call_us(baseline, sets), std::max<std::int64_t>(1, kMostCalls / sets));
    return {std::make_unique<RemoteSampler>(candidate, passes.candidate * sets, 0, 0),
            std::make_unique<RemoteSampler>(baseline, passes.baseline * sets, 0, 0)};
  }
  const Windows windows = plan_windows(kCpuTargetUs, call_us(candidate, 1), call_us(baseline, 1), sets);
  return {std::make_unique<RemoteSampler>(candidate, windows.calls.candidate, 0, windows.stride),
          std::make_unique<RemoteSampler>(baseline, windows.calls.baseline, windows.baseline_offset,
                                          windows.stride)};
}

}  // namespace assay::harness
