// SPDX-License-Identifier: Apache-2.0
// Timing of a pair of implementations, as a list of named steps; each step's policy has a file of its own.
#include "harness/measure/measure.hpp"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>

#include "harness/measure/pairs.hpp"
#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

const std::vector<Invocation>& calls_of(const Prepared& side, TimeMode mode) {
  return mode == TimeMode::kWall ? side.allocating : side.into;
}

Sides sides_of(TimeMode mode, const Prepared& candidate, const Prepared& baseline) {
  const Sides sides{calls_of(candidate, mode), calls_of(baseline, mode)};
  if (sides.candidate.empty() || sides.candidate.size() != sides.baseline.size()) {
    throw std::invalid_argument(fmt::format(
        "measure_pair: expected both sides prepared on every set of one rotation, found {} candidate and "
        "{} baseline calls; prepare them for the call style of the mode",
        sides.candidate.size(), sides.baseline.size()));
  }
  return sides;
}

bool both_remote(const Prepared& candidate, const Prepared& baseline) {
  if (static_cast<bool>(candidate.remote) != static_cast<bool>(baseline.remote)) {
    throw std::invalid_argument(
        "measure_pair: expected both sides in this process or both in processes of their own, found one of "
        "each");
  }
  return candidate.remote != nullptr;
}

void check_device(const DeviceInfo& device) {
  if (device.kind == DeviceKind::kCuda && !cuda_available()) {
    throw Skip("no CUDA time on this machine: " + cuda_unavailable_reason());
  }
}

}  // namespace

Timing measure_pair(TimeMode mode, const Prepared& candidate, const Prepared& baseline,
                    const DeviceInfo& device, const MeasureOptions& options) {
  check_device(device);
  const bool remote = both_remote(candidate, baseline);
  const Sides sides = remote ? Sides{candidate.into, baseline.into} : sides_of(mode, candidate, baseline);
  const auto begin = std::chrono::steady_clock::now();
  const auto elapsed_seconds = [begin] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  Stage stage(device.kind, mode);
  const SamplerPair samplers = remote ? make_remote_samplers(*candidate.remote, *baseline.remote, device.kind)
                                      : make_samplers(mode, sides, stage, options);
  ClockWatch clocks(device.kind);
  PairedSamples samples =
      sample_pairs(*samplers.candidate, *samplers.baseline, options, clocks, elapsed_seconds);
  stage.synchronize();

  Timing timing;
  timing.mode = mode;
  timing.candidate_ns = median(samples.candidate_ns);
  timing.baseline_ns = median(samples.baseline_ns);
  timing.speedup = interval_of_run(samples);
  timing.verdict = verdict_of(*timing.speedup);
  timing.candidate_samples_ns = std::move(samples.candidate_ns);
  timing.baseline_samples_ns = std::move(samples.baseline_ns);
  timing.notes = std::move(samples.notes);
  return timing;
}

}  // namespace assay::harness
