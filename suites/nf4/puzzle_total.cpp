// SPDX-License-Identifier: Apache-2.0
// Sums the puzzle's three options pair by pair and asks for the interval of the ratio of the sums.
#include <algorithm>
#include <set>

#include "harness/measure/statistics.hpp"
#include "harness/report/newest.hpp"
#include "suites/nf4/rubric.hpp"

namespace assay::suites::nf4 {
namespace {

using harness::Passed;
using harness::Record;
using harness::Timing;

/// [intermediate, hidden] of the options' gate and up projections; down has the same number of weights.
constexpr const char* kOptions[] = {"8192x2048/f16/seed3407", "4096x1024/bf16/seed3409",
                                    "14336x4096/bf16/seed3408"};
constexpr double kMatricesPerOption = 3;
constexpr std::size_t kLeastPairs = 6;  // fewer cannot give 95 % (harness/measure/statistics.hpp)

const Record* newest_record(const harness::RecordFile& records, const char* option) {
  const Record* newest = nullptr;
  for (const Record& record : records.records) {
    const bool ours = record.challenge == "nf4/dequantize" && record.implementation == "cuda_fused" &&
                      record.case_name == option && record.device.kind == harness::DeviceKind::kCuda &&
                      record.target_mode != "ptx_jit";
    if (ours && (newest == nullptr || record.provenance.utc >= newest->provenance.utc)) {
      newest = &record;
    }
  }
  return newest;
}

/// Against the fastest of the Unsloth sequences, nullptr when `mode` was not timed against any.
const Timing* against_fastest(const Passed& passed, harness::TimeMode mode) {
  const Timing* fastest = nullptr;
  for (const Timing& timing : passed.timings) {
    if (timing.mode == mode && timing.baseline.starts_with("unsloth_sequence") &&
        (fastest == nullptr || timing.baseline_ns < fastest->baseline_ns)) {
      fastest = &timing;
    }
  }
  return fastest;
}

/// Adds three matrices' worth of an option's samples; all sums are cut to the shortest option.
void add_samples(std::vector<double>& sums, const std::vector<double>& samples, bool first) {
  sums.resize(first ? samples.size() : std::min(sums.size(), samples.size()), 0.0);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    sums[i] += kMatricesPerOption * samples[i];
  }
}

}  // namespace

PuzzleTotal puzzle_total(const harness::RecordFile& records, harness::TimeMode mode,
                         const harness::CurrentSources& current) {
  PuzzleTotal total;
  std::vector<double> candidate, baseline;
  std::set<std::string> baselines;
  for (const char* option : kOptions) {
    const Record* record = newest_record(records, option);
    const auto* passed = record != nullptr ? std::get_if<Passed>(&record->outcome) : nullptr;
    const Timing* timing = passed != nullptr ? against_fastest(*passed, mode) : nullptr;
    if (timing == nullptr) {
      const std::string what = std::string(option) + " of cuda_fused on a GPU";
      total.reason = record == nullptr   ? "no record of " + what
                     : passed == nullptr ? what + " is " + outcome_name(record->outcome)
                                         : what + " was not timed in mode " + std::string(mode_name(mode)) +
                                               " against an Unsloth sequence";
      return total;
    }
    const bool first = option == kOptions[0];
    add_samples(candidate, timing->candidate_samples_ns, first);
    add_samples(baseline, timing->baseline_samples_ns, first);
    total.candidate_ns += kMatricesPerOption * timing->candidate_ns;
    total.baseline_ns += kMatricesPerOption * timing->baseline_ns;
    baselines.insert(timing->baseline);
    total.stale |= harness::report::is_stale(*record, current);
  }
  const std::size_t pairs = std::min(candidate.size(), baseline.size());
  if (pairs < kLeastPairs) {
    total.reason = "mode " + std::string(mode_name(mode)) + " has " + std::to_string(pairs) +
                   " pairs of samples in every option, expected at least " + std::to_string(kLeastPairs);
    return total;
  }
  for (const std::string& name : baselines) {
    total.baselines += (total.baselines.empty() ? "" : ", ") + name;
  }
  candidate.resize(pairs);
  baseline.resize(pairs);
  total.speedup = harness::paired_ratio(baseline, candidate);
  return total;
}

}  // namespace assay::suites::nf4
