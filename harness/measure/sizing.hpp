// SPDX-License-Identifier: Apache-2.0
// How long samples are and which sets they use. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace assay::harness {

/// Units of work (calls, or passes over a rotation) in a sample of either side.
struct SampleUnits {
  std::int64_t candidate = 1, baseline = 1;
};

/// Samples of about `target_us`, at least one unit and at most `most`, and of equal *duration* on both sides
/// to half a unit of the faster one. Equal duration is what keeps the pair fair on a busy machine: the longer
/// a sample, the likelier the scheduler interrupts it, so unequal samples of the same work differ in their
/// medians (seen on 2 shared cores with load 5, 2026-11: 8 of 40 same-against-same runs "resolved" when each
/// side was sized by itself, none when matched).
SampleUnits matched_units(double target_us, double candidate_unit_us, double baseline_unit_us,
                          std::int64_t most);

/// Which sets a host-timed sample of each side walks over: `calls` consecutive sets from `start`, modulo the
/// rotation.
struct Windows {
  std::int64_t sets = 1;
  SampleUnits calls;
  std::int64_t stride = 0;           ///< between the starts of consecutive rounds
  std::int64_t baseline_offset = 0;  ///< from the candidate's start

  std::int64_t candidate_start(std::int64_t round) const { return round * stride % sets; }
  std::int64_t baseline_start(std::int64_t round) const { return (round * stride + baseline_offset) % sets; }
};

/// Windows instead of whole passes, because a pass exceeds the cache three times and would make every sample
/// many milliseconds long. The sides are half a rotation apart, so a call finds its set untouched for at
/// least half a rotation, one and a half times the cache. A window of more than half a rotation becomes whole
/// passes.
Windows plan_windows(double target_us, double candidate_call_us, double baseline_call_us, std::int64_t sets);

}  // namespace assay::harness
