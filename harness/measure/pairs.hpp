// SPDX-License-Identifier: Apache-2.0
// Interleaving and when to stop, apart from how a sample is taken.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "harness/measure/clock_watch.hpp"
#include "harness/measure/measure.hpp"
#include "harness/measure/sampler.hpp"

namespace assay::harness {

/// In pair order, one call each. Nothing is ever dropped.
struct PairedSamples {
  std::vector<double> candidate_ns, baseline_ns;
  std::vector<std::string> notes;
};

/// A fair coin a pair, from the seed alone.
class PairOrder {
 public:
  explicit PairOrder(std::uint64_t seed) : engine_(seed) {}
  bool candidate_first() { return (engine_() >> 63) != 0; }

 private:
  std::mt19937_64 engine_;
};

enum class Stop { kGoOn, kTight, kAllPairs, kBudget };

/// What a run says: the 95 % interval of its paired ratio. Ranks are taken at 96.8 %, the most that 6 pairs
/// carry, because a run that may stop early, when its interval happens to be narrow, holds the truth a little
/// less often than its ranks promise: 94.2 % at worst for ranks at 95 %, 95.6 % for these (simulated;
/// pairs_test repeats it).
Interval interval_of_run(const PairedSamples& samples);

/// Stops at max_pairs; at the budget once 6 pairs exist (fewer carry no 95 % interval); and, looked at only
/// at min_pairs and then after every quarter more, when the interval reaches less than 0.25 % (of the log
/// ratio) from its median on both sides.
///
/// Looking early does not make false verdicts: a verdict needs the median 0.5 % from 1 (verdict_of's margin),
/// so if the truth is 1, an early stop would have to lie two interval reaches off. Going on while the
/// interval is wide is what keeps a busy machine honest: on 2 shared cores with load 8, 64 pairs missed 1 to
/// 4 of 40 planted 3 % slowdowns, up to 512 pairs none (2026-11).
Stop stop_after(const PairedSamples& samples, double elapsed_seconds, const MeasureOptions& options);

/// Takes pairs in random order until `stop_after` says so. `elapsed_seconds` counts from the start of the
/// measurement, warm-up included. Throws std::invalid_argument for options that cannot end in an interval.
PairedSamples sample_pairs(Sampler& candidate, Sampler& baseline, const MeasureOptions& options,
                           ClockWatch& clocks, const std::function<double()>& elapsed_seconds);

}  // namespace assay::harness
