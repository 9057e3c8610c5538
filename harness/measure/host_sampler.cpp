// SPDX-License-Identifier: Apache-2.0
// Samples by the host's clock.
#include <algorithm>
#include <chrono>

#include "harness/measure/sampler.hpp"
#include "harness/measure/sizing.hpp"

namespace assay::harness {
namespace {

using HostClock = std::chrono::steady_clock;

double ns_since(HostClock::time_point begin) {
  const double ns = std::chrono::duration<double, std::nano>(HostClock::now() - begin).count();
  return std::max(ns, 1.0);  // the clock's tick: a time is positive
}

/// The calls of one side and how each ends.
struct HostCalls {
  const std::vector<Invocation>& calls;
  Stage& stage;
  bool synchronise_each;

  std::int64_t sets() const { return static_cast<std::int64_t>(calls.size()); }

  void run(std::int64_t set) const {
    calls[static_cast<std::size_t>(set % sets())](stage.stream());
    if (synchronise_each) {
      synchronize_device(stage.kind());
    }
  }

  void run_every_set() const {
    for (std::int64_t set = 0; set < sets(); ++set) {
      run(set);
    }
    stage.synchronize();
  }

  /// Fastest of a few single calls: an interrupted one must not decide the size of all samples. Long calls
  /// are tried less often.
  double call_us() const {
    constexpr std::int64_t kLeast = 3, kMost = 15;
    constexpr double kEnoughUs = 2000.0;
    double fastest_us = 0, spent_us = 0;
    for (std::int64_t i = 0; i < kLeast || (i < kMost && spent_us < kEnoughUs); ++i) {
      const HostClock::time_point begin = HostClock::now();
      run(i);
      const double us = ns_since(begin) / 1000.0;
      fastest_us = i == 0 ? us : std::min(fastest_us, us);
      spent_us += us;
    }
    return fastest_us;
  }
};

class WindowSampler final : public Sampler {
 public:
  enum class Side { kCandidate, kBaseline };

  WindowSampler(HostCalls calls, Windows windows, Side side)
      : calls_(calls),
        windows_(windows),
        side_(side),
        count_(side == Side::kCandidate ? windows.calls.candidate : windows.calls.baseline) {}

  double sample_ns(std::int64_t round) override {
    const std::int64_t start =
        side_ == Side::kCandidate ? windows_.candidate_start(round) : windows_.baseline_start(round);
    const HostClock::time_point begin = HostClock::now();
    for (std::int64_t i = 0; i < count_; ++i) {
      calls_.run(start + i);
    }
    return ns_since(begin) / static_cast<double>(count_);
  }

 private:
  HostCalls calls_;
  Windows windows_;
  Side side_;
  std::int64_t count_;
};

class ColdHostSampler final : public Sampler {
 public:
  explicit ColdHostSampler(HostCalls calls) : calls_(calls) { calls_.run_every_set(); }

  double sample_ns(std::int64_t round) override {
    calls_.stage.flush();
    const HostClock::time_point begin = HostClock::now();
    calls_.run(round);
    return ns_since(begin);
  }

 private:
  HostCalls calls_;
};

}  // namespace

SamplerPair make_host_samplers(const Sides& sides, Stage& stage, double target_us, bool synchronise_each) {
  const HostCalls candidate{sides.candidate, stage, synchronise_each};
  const HostCalls baseline{sides.baseline, stage, synchronise_each};
  candidate.run_every_set();
  baseline.run_every_set();
  const Windows windows = plan_windows(target_us, candidate.call_us(), baseline.call_us(), candidate.sets());
  return {std::make_unique<WindowSampler>(candidate, windows, WindowSampler::Side::kCandidate),
          std::make_unique<WindowSampler>(baseline, windows, WindowSampler::Side::kBaseline)};
}

SamplerPair make_host_cold_samplers(const Sides& sides, Stage& stage) {
  return {std::make_unique<ColdHostSampler>(HostCalls{sides.candidate, stage, false}),
          std::make_unique<ColdHostSampler>(HostCalls{sides.baseline, stage, false})};
}

}  // namespace assay::harness
