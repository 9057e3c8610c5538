// SPDX-License-Identifier: Apache-2.0
// Same against same, through the very path that real pairs take.
#include "harness/measure/noise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "harness/measure/probe_kernels.hpp"
#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

constexpr std::size_t kCpuFloats = 256;
constexpr std::size_t kGpuBytes = std::size_t{32} << 20;
constexpr std::size_t kGpuBufferBytes =
    kGpuBytes / SyntheticWork::kUsualRounds * SyntheticWork::kMostRounds / 256 * 256 + 256;

/// Not inlined: both sides of a pair must run the very same instructions at the same addresses.
[[gnu::noinline]] void add_up(const float* from, float* to, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    float sum = 0;
    for (std::size_t i = 0; i < kCpuFloats; ++i) {
      sum += from[i];
    }
    to[round] = sum;
    asm volatile("" : : "r"(from), "r"(to) : "memory");  // every round reads anew
  }
}

Invocation cpu_call(const DeviceBuffer& source, const DeviceBuffer& target, int rounds) {
  const auto* from = reinterpret_cast<const float*>(source.data());
  auto* to = reinterpret_cast<float*>(target.data());
  return [from, to, rounds](Stream) { add_up(from, to, rounds); };
}

Invocation gpu_call(const DeviceBuffer& source, const DeviceBuffer& target, int rounds) {
  const std::size_t bytes =
      kGpuBytes / 16 / SyntheticWork::kUsualRounds * static_cast<std::size_t>(rounds) * 16;
  return [from = source.data(), to = target.data(), bytes](Stream stream) {
    enqueue_vector_copy(to, from, bytes, stream);
  };
}

double half_width(const Interval& interval) {
  return 0.5 * std::log(interval.ci_high / interval.ci_low);
}

}  // namespace

SyntheticWork::SyntheticWork(const DeviceInfo& device) : kind_(device.kind) {
  const bool cuda = kind_ == DeviceKind::kCuda;
  const std::size_t bytes = cuda ? kGpuBufferBytes : kCpuFloats * sizeof(float);
  // A CPU set fits the core's own cache on purpose: a rotation past the last-level cache of a large CPU would
  // make each sample many milliseconds long.
  const int sets = cuda ? rotation_count(2 * bytes, device) : 2;
  for (int set = 0; set < sets; ++set) {
    sources_.emplace_back(bytes, kind_);
    targets_.emplace_back(bytes, kind_);
    if (cuda) {
      enqueue_random_fill(sources_.back().data(), RandomBits{}, bytes, nullptr);
    } else {
      std::fill_n(reinterpret_cast<float*>(sources_.back().data()), kCpuFloats,
                  1.0f + 0.5f * static_cast<float>(set));
    }
  }
  synchronize_device(kind_);
}

Prepared SyntheticWork::prepare(int rounds) const {
  if (rounds < 1 || rounds > kMostRounds) {
    throw std::invalid_argument(
        fmt::format("SyntheticWork: expected 1 to {} rounds, found {}", kMostRounds, rounds));
  }
  Prepared prepared;
  for (std::size_t set = 0; set < sources_.size(); ++set) {
    const auto make = kind_ == DeviceKind::kCuda ? gpu_call : cpu_call;
    prepared.into.push_back(make(sources_[set], targets_[set], rounds));
  }
  prepared.allocating = prepared.into;
  return prepared;
}

Noise measure_noise(const DeviceInfo& device, int trials, const MeasureOptions& options) {
  if (trials < 1) {
    throw std::invalid_argument(fmt::format("measure_noise: expected at least 1 trial, found {}", trials));
  }
  if (device.kind == DeviceKind::kCuda && !cuda_available()) {
    throw Skip("no CUDA noise on this machine: " + cuda_unavailable_reason());
  }
  const SyntheticWork work(device);
  const Prepared one = work.prepare(SyntheticWork::kUsualRounds);
  const Prepared other = work.prepare(SyntheticWork::kUsualRounds);
  std::vector<double> half_widths;
  int resolved = 0;
  for (int trial = 0; trial < trials; ++trial) {
    MeasureOptions each = options;
    each.seed = options.seed + static_cast<std::uint64_t>(trial);
    const Timing timing = measure_pair(TimeMode::kGraph, one, other, device, each);
    resolved += timing.verdict != Verdict::kNotResolved;
    half_widths.push_back(100.0 * half_width(*timing.speedup));
  }
  Noise noise;
  noise.trials = trials;
  noise.fraction_resolved = static_cast<double>(resolved) / trials;
  noise.half_width_percent = median(half_widths);
  noise.minimum_detectable_percent = std::max(noise.half_width_percent, 100.0 * kVerdictMargin);
  return noise;
}

}  // namespace assay::harness
