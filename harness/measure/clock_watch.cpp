// SPDX-License-Identifier: Apache-2.0
// Turns clock readings into notes.
#include "harness/measure/clock_watch.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace assay::harness {
namespace {

constexpr double kClockTolerance = 0.03;

}  // namespace

ClockWatch::ClockWatch(DeviceKind kind) {
  if (kind == DeviceKind::kCuda) {
    reader_ = read_clocks;
  }
}

void ClockWatch::observe() {
  if (!reader_) {
    return;
  }
  if (const std::optional<ClockState> state = reader_()) {
    seen_.push_back(*state);
  }
}

std::vector<std::string> ClockWatch::notes() const {
  std::vector<std::string> notes;
  if (seen_.empty()) {
    return notes;
  }
  const auto [slowest, fastest] =
      std::minmax_element(seen_.begin(), seen_.end(),
                          [](const ClockState& a, const ClockState& b) { return a.sm_mhz < b.sm_mhz; });
  if (fastest->sm_mhz - slowest->sm_mhz > kClockTolerance * fastest->sm_mhz) {
    notes.push_back(
        fmt::format("SM clock moved between {} and {} MHz during timing", slowest->sm_mhz, fastest->sm_mhz));
  }
  std::uint64_t reasons = 0;
  for (const ClockState& state : seen_) {
    reasons |= state.throttle_reasons;
  }
  if (const std::string suspicious = suspicious_throttle(reasons); !suspicious.empty()) {
    notes.push_back("clock held back during timing: " + suspicious);
  }
  return notes;
}

}  // namespace assay::harness
