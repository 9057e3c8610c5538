// SPDX-License-Identifier: Apache-2.0
// The pair loop and its stopping rule.
#include "harness/measure/pairs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

constexpr int kLeastPairs = 6;  // P(all of n on one side) = 2^(1-n) falls under 5 % at n = 6
constexpr std::size_t kReadClocksEvery = 8;
constexpr double kTightReach = 0.0025;

void check_options(const MeasureOptions& options) {
  if (options.min_pairs < kLeastPairs || options.max_pairs < options.min_pairs) {
    throw std::invalid_argument(fmt::format(
        "MeasureOptions: expected {} <= min_pairs <= max_pairs, found min_pairs {} and max_pairs {}",
        kLeastPairs, options.min_pairs, options.max_pairs));
  }
  if (!(options.budget_seconds > 0 && options.graph_target_us > 0)) {
    throw std::invalid_argument(
        fmt::format("MeasureOptions: expected budget_seconds and graph_target_us above 0, found {} and {}",
                    options.budget_seconds, options.graph_target_us));
  }
}

/// How far the interval reaches from its median, in log ratio, on its longer side.
double reach(const Interval& interval) {
  return std::max(std::log(interval.ci_high / interval.median), std::log(interval.median / interval.ci_low));
}

/// min_pairs, then a quarter more each time (at least 8).
bool is_look(int pairs, int min_pairs) {
  int look = min_pairs;
  while (look < pairs) {
    look += std::max(8, look / 4);
  }
  return look == pairs;
}

void take_pair(Sampler& candidate, Sampler& baseline, bool candidate_first, PairedSamples& samples) {
  const std::int64_t round = static_cast<std::int64_t>(samples.candidate_ns.size());
  double candidate_ns = 0;
  double baseline_ns = 0;
  if (candidate_first) {
    candidate_ns = candidate.sample_ns(round);
    baseline_ns = baseline.sample_ns(round);
  } else {
    baseline_ns = baseline.sample_ns(round);
    candidate_ns = candidate.sample_ns(round);
  }
  samples.candidate_ns.push_back(candidate_ns);
  samples.baseline_ns.push_back(baseline_ns);
}

void append(std::vector<std::string>& notes, const std::vector<std::string>& more, const char* whose) {
  for (const std::string& note : more) {
    notes.push_back(whose + note);
  }
}

}  // namespace

Interval interval_of_run(const PairedSamples& samples) {
  constexpr double kRankConfidence = 0.968, kPromised = 0.95;
  Interval interval = paired_ratio(samples.baseline_ns, samples.candidate_ns, kRankConfidence);
  interval.confidence = kPromised;
  return interval;
}

Stop stop_after(const PairedSamples& samples, double elapsed_seconds, const MeasureOptions& options) {
  const int pairs = static_cast<int>(samples.candidate_ns.size());
  if (pairs >= options.max_pairs) {
    return Stop::kAllPairs;
  }
  if (pairs >= kLeastPairs && elapsed_seconds >= options.budget_seconds) {
    return Stop::kBudget;
  }
  if (is_look(pairs, options.min_pairs) && reach(interval_of_run(samples)) < kTightReach) {
    return Stop::kTight;
  }
  return Stop::kGoOn;
}

PairedSamples sample_pairs(Sampler& candidate, Sampler& baseline, const MeasureOptions& options,
                           ClockWatch& clocks, const std::function<double()>& elapsed_seconds) {
  check_options(options);
  PairedSamples samples;
  PairOrder order(options.seed);
  Stop stop = Stop::kGoOn;
  clocks.observe();
  while (stop == Stop::kGoOn) {
    take_pair(candidate, baseline, order.candidate_first(), samples);
    if (samples.candidate_ns.size() % kReadClocksEvery == 0) {
      clocks.observe();
    }
    stop = stop_after(samples, elapsed_seconds(), options);
  }
  clocks.observe();
  const int pairs = static_cast<int>(samples.candidate_ns.size());
  if (stop == Stop::kBudget && pairs < options.min_pairs) {
    samples.notes.push_back(fmt::format("the time budget of {:g} s ended after {} pairs ({} were asked for)",
                                        options.budget_seconds, pairs, options.min_pairs));
  }
  append(samples.notes, clocks.notes(), "");
  append(samples.notes, candidate.notes(), "candidate: ");
  append(samples.notes, baseline.notes(), "baseline: ");
  return samples;
}

}  // namespace assay::harness
