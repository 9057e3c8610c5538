// SPDX-License-Identifier: Apache-2.0
// How judging one (case, implementation) can end. Measurements live inside Passed and nowhere else: what did not
// pass cannot carry a time, and 0 is never a measurement.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace assay::harness {

struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The caller's mistake (filter, file, flag): main prints it and exits 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Parity {
  std::string oracle = "f64";
  std::int64_t elements = 0;
  std::int64_t mismatches = 0;       ///< elements outside the limit (bit inequality where parity is exact)
  std::int64_t nonfinite = 0;        ///< NaN or Inf where the oracle is finite
  std::int64_t first_bad_index = -1; ///< flat index in `first_bad_output`, -1 when none
  std::string first_bad_output;
  double first_bad_value = 0.0, first_bad_expected = 0.0;
  std::int64_t max_ulp = 0;
  /// [0], [1], [2], [3..4], [5..8], … ulp distance from the correctly rounded truth, last bucket open.
  std::vector<std::int64_t> ulp_histogram;
  double rel_err = 0.0;              ///< ‖out − truth‖ / ‖truth‖
  double max_abs_err = 0.0;
  std::optional<double> baseline_rel_err;
  std::optional<double> limit;       ///< on rel_err; unset where parity is bit equality
  double worst_tile_ratio = 0.0;     ///< largest err(candidate)/limit over 128×128 tiles; ≤ 1 passes
};

struct Interval {
  double median = 0, ci_low = 0, ci_high = 0;
  double confidence = 0.95;
  std::int64_t pairs = 0;
};

enum class TimeMode { kGraph, kCold, kWall };
enum class Verdict { kBetter, kWorse, kNotResolved };

struct Timing {
  TimeMode mode = TimeMode::kGraph;
  std::string baseline;              ///< implementation the ratio is against; empty for the baseline itself
  double candidate_ns = 0, baseline_ns = 0;   ///< medians of one call
  std::optional<Interval> speedup;   ///< baseline time / candidate time, paired
  Verdict verdict = Verdict::kNotResolved;
  std::vector<double> candidate_samples_ns, baseline_samples_ns;  ///< one call each, in pair order
  std::vector<std::string> notes;    ///< clock or throttle changes seen
};

struct Memory {
  std::int64_t peak_bytes = 0;       ///< above inputs and outputs: tensors + graph_pool + outside_torch
  std::optional<std::int64_t> baseline_peak_bytes;
  std::int64_t tensors = 0, reserved = 0, graph_pool = 0, outside_torch = 0;
};

/// `fraction` of the ceiling this run measured; above 1 (plus noise) the result is implausible and not a record.
struct WorkDone {
  std::int64_t bytes = 0, flops = 0;
  std::string ceiling;               ///< "copy_gbps", "matmul_bf16_tflops", …
  double ceiling_value = 0, achieved = 0, fraction = 0;
};

struct Passed {
  Parity parity;
  std::vector<Timing> timings;       ///< headline first; empty after `verify`
  std::optional<Memory> memory;
  std::optional<WorkDone> work;
};
struct Wrong {
  std::string check;                 ///< the check that rejected it: "parity", "canary", "input_mutated", …
  std::string reason;
  std::optional<Parity> parity;
};
struct Skipped { std::string reason; };
struct Failed { std::string reason; };
struct TimedOut { std::string reason; };
struct OutOfMemoryOutcome { std::string reason; };

using Outcome = std::variant<Passed, Wrong, Skipped, Failed, TimedOut, OutOfMemoryOutcome>;

/// "passed", "wrong", "skipped", "failed", "timed_out", "out_of_memory".
std::string outcome_name(const Outcome& outcome);
std::string outcome_reason(const Outcome& outcome);

}  // namespace assay::harness
