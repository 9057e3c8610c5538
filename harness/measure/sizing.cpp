// SPDX-License-Identifier: Apache-2.0
// Sizes of samples.
#include "harness/measure/sizing.hpp"

#include <algorithm>
#include <cmath>

namespace assay::harness {
namespace {

constexpr std::int64_t kMostCalls = 65536;

std::int64_t bounded(double units, std::int64_t most) {
  return static_cast<std::int64_t>(std::clamp(units, 1.0, static_cast<double>(most)));
}

std::int64_t whole_passes(std::int64_t calls, std::int64_t sets) {
  return 2 * calls > sets ? (calls + sets - 1) / sets * sets : calls;
}

}  // namespace

SampleUnits matched_units(double target_us, double candidate_unit_us, double baseline_unit_us,
                          std::int64_t most) {
  constexpr double kClockTickUs = 1e-3;
  const double candidate = std::max(candidate_unit_us, kClockTickUs);
  const double baseline = std::max(baseline_unit_us, kClockTickUs);
  const double slower = std::max(candidate, baseline);
  const double duration = slower * static_cast<double>(bounded(std::ceil(target_us / slower), most));
  return {bounded(std::round(duration / candidate), most), bounded(std::round(duration / baseline), most)};
}

Windows plan_windows(double target_us, double candidate_call_us, double baseline_call_us, std::int64_t sets) {
  Windows windows;
  windows.sets = sets;
  windows.calls = matched_units(target_us, candidate_call_us, baseline_call_us, kMostCalls);
  windows.calls.candidate = whole_passes(windows.calls.candidate, sets);
  windows.calls.baseline = whole_passes(windows.calls.baseline, sets);
  for (const std::int64_t calls : {windows.calls.candidate, windows.calls.baseline}) {
    if (2 * calls <= sets) {
      windows.stride = std::max(windows.stride, calls);
    }
  }
  windows.baseline_offset = windows.stride > 0 ? sets / 2 : 0;
  return windows;
}

}  // namespace assay::harness
