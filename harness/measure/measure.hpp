// SPDX-License-Identifier: Apache-2.0
// Timing. Two implementations are always timed interleaved in one run (A B, B A, … in random order), on
// rotated input and output sets that together exceed the cache three times. Modes are never mixed:
//   graph  replay of many calls captured in one CUDA graph          (CPU: many calls back to back)
//   cold   caches flushed before every call
//   wall   host clock around call + device synchronisation, CallStyle::kAllocating: what the puzzle timed
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/challenge.hpp"
#include "harness/core/outcome.hpp"
#include "harness/device/device.hpp"

namespace assay::harness {

struct MeasureOptions {
  int min_pairs = 24, max_pairs = 512;
  /// Per mode and pair of implementations, warm-up included; ends early once the interval is tight. Six pairs
  /// are taken however long they last, because fewer carry no interval; fewer than `min_pairs` leave a note.
  double budget_seconds = 2.0;
  double graph_target_us = 1500.0;  ///< length of one captured graph; CPU samples are a thirtieth of it
  std::uint64_t seed = 1;           ///< order of A and B
};

/// Several complete input and output sets of one case on one device, so that no call finds its data in cache.
/// inputs[i] differ (other seeds), outputs[i] are poisoned at construction.
struct Rotation {
  std::vector<TensorSet> inputs;
  std::vector<TensorSet> outputs;
};
/// Enough sets to exceed three times the cache, at least 2, at most 64, and at most 40 % of the device's free
/// memory.
int rotation_count(std::size_t bytes_per_set, const DeviceInfo& device);

/// One implementation prepared on every set of a rotation (calls[i] works on set i).
struct Prepared {
  std::vector<Invocation> into;        ///< CallStyle::kInto
  std::vector<Invocation> allocating;  ///< CallStyle::kAllocating
  /// Of calls in another process (core/outside.hpp), and then nothing else. Null: called here.
  std::shared_ptr<const RemoteCalls> remote = nullptr;
};

/// Times `candidate` against `baseline`. Two sides in other processes are timed in windows, whatever the
/// mode; one here and one elsewhere is std::invalid_argument. Throws Skip when the device cannot be timed on
/// this machine, std::invalid_argument for sides that do not match, and whatever a call throws. All queued
/// work is finished when it returns or throws; outputs hold what the last calls wrote.
Timing measure_pair(TimeMode mode, const Prepared& candidate, const Prepared& baseline,
                    const DeviceInfo& device, const MeasureOptions& options);

/// What this machine can do, measured now. A value is unset where the device lacks the unit.
struct Ceilings {
  double copy_gbps = 0;  ///< read + written, best of the runtime's copy and a plain vector copy
  double fill_gbps = 0;  ///< written only
  std::optional<double> matmul_bf16_tflops, matmul_f16_tflops;
  double event_overhead_us = 0;  ///< empty event pair
  double launch_us = 0;          ///< empty kernel, host clock, synchronised
};
Ceilings measure_ceilings(const DeviceInfo& device);
/// The most that either measurement saw the machine do; overheads are the first one's.
Ceilings highest(const Ceilings& first, const Ceilings& second);

/// Same-against-same runs: `fraction_resolved` should stay under 5 %; `minimum_detectable` is the half-width
/// of the interval in percent, the smallest effect this run can call (never under the margin of
/// `verdict_of`).
struct Noise {
  int trials = 0;
  double fraction_resolved = 0;
  double minimum_detectable_percent = 0;
  double half_width_percent = 0;  ///< median half-width of the trials' intervals, without that floor
};
Noise measure_noise(const DeviceInfo& device, int trials, const MeasureOptions& options);

/// Faster than the ceilings allow (with 3 % slack for their own spread): returns why, else nullopt. With
/// `ceilings`, what moves bytes is held against the larger of the copy and fill rates: a kernel that mostly
/// writes can pass the copy rate honestly.
std::optional<std::string> implausible(const WorkDone& work);
std::optional<std::string> implausible(const WorkDone& work, const Ceilings& ceilings);

/// Value of "copy_gbps", "fill_gbps", "matmul_bf16_tflops" or "matmul_f16_tflops"; nullopt where the device
/// lacks the unit. Throws std::invalid_argument for another name.
std::optional<double> ceiling_value(const std::string& name, const Ceilings& ceilings);

/// Throws std::invalid_argument for an unknown or unset ceiling (ask `ceiling_value` first), or a time that
/// is not above 0.
WorkDone work_done(const Work& work, double call_ns, const Ceilings& ceilings);

}  // namespace assay::harness
