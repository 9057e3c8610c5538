// SPDX-License-Identifier: Apache-2.0
// Order statistics and the exact interval of a paired ratio. Nothing here assumes a distribution: times are
// skewed, have several modes and heavy tails, and a mean with a standard deviation describes none of that.
#include "harness/measure/statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace assay::harness {
namespace {

std::vector<double> sorted(std::span<const double> values, const char* what) {
  if (values.empty()) {
    throw std::invalid_argument(fmt::format("{}: expected at least one value, found none", what));
  }
  for (const double value : values) {
    if (!std::isfinite(value)) {
      throw std::invalid_argument(fmt::format("{}: expected finite values, found {}", what, value));
    }
  }
  std::vector<double> copy(values.begin(), values.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

double quantile_of_sorted(const std::vector<double>& values, double q) {
  const double position = q * static_cast<double>(values.size() - 1);
  const std::size_t below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  const double weight = position - static_cast<double>(below);
  return values[below] + weight * (values[above] - values[below]);
}

std::vector<double> log_ratios(std::span<const double> baseline, std::span<const double> candidate) {
  if (baseline.size() != candidate.size()) {
    throw std::invalid_argument(
        fmt::format("paired_ratio: expected as many baseline as candidate samples, found {} and {}",
                    baseline.size(), candidate.size()));
  }
  std::vector<double> logs(baseline.size());
  for (std::size_t i = 0; i < logs.size(); ++i) {
    if (!(baseline[i] > 0 && candidate[i] > 0)) {
      throw std::invalid_argument(fmt::format(
          "paired_ratio: expected positive times, found {} and {} in pair {}", baseline[i], candidate[i], i));
    }
    logs[i] = std::log(baseline[i] / candidate[i]);
  }
  return logs;
}

/// Largest k for which [x(k), x(n+1-k)] (1-based order statistics) covers the median with `confidence`: the
/// median lies below x(k) only if fewer than k of n values do, which has probability P(Binomial(n, 1/2) <=
/// k-1). 0: no k does. David & Nagaraja, Order Statistics, 3rd ed., section 7.1.
std::size_t interval_rank(std::size_t n, double confidence) {
  const double tail = (1.0 - confidence) / 2.0;
  const double count = static_cast<double>(n);
  double log_probability = -count * std::log(2.0);  // of 0 successes; log, because 2^-n underflows past 1074
  double cumulative = 0.0;
  std::size_t k = 0;
  for (; k < n / 2; ++k) {
    cumulative += std::exp(log_probability);
    if (cumulative > tail) {
      break;
    }
    log_probability += std::log((count - static_cast<double>(k)) / static_cast<double>(k + 1));
  }
  return k;
}

}  // namespace

double median(std::span<const double> values) {
  return quantile_of_sorted(sorted(values, "median"), 0.5);
}

double quantile(std::span<const double> values, double q) {
  if (!(q >= 0.0 && q <= 1.0)) {
    throw std::invalid_argument(fmt::format("quantile: expected q between 0 and 1, found {}", q));
  }
  return quantile_of_sorted(sorted(values, "quantile"), q);
}

double median_absolute_deviation(std::span<const double> values) {
  const double center = median(values);
  std::vector<double> distances(values.size());
  std::transform(values.begin(), values.end(), distances.begin(),
                 [center](double value) { return std::abs(value - center); });
  return median(distances);
}

Interval paired_ratio(std::span<const double> baseline, std::span<const double> candidate,
                      double confidence) {
  if (!(confidence > 0.0 && confidence < 1.0)) {
    throw std::invalid_argument(
        fmt::format("paired_ratio: expected a confidence between 0 and 1, found {}", confidence));
  }
  const std::vector<double> unsorted = log_ratios(baseline, candidate);
  const std::size_t rank = interval_rank(unsorted.size(), confidence);
  if (rank == 0) {
    throw std::invalid_argument(
        fmt::format("paired_ratio: {} pairs cannot carry a confidence of {} (0.95 needs 6); take more pairs",
                    unsorted.size(), confidence));
  }
  const std::vector<double> logs = sorted(unsorted, "paired_ratio");
  Interval interval;
  interval.median = std::exp(quantile_of_sorted(logs, 0.5));
  interval.ci_low = std::exp(logs[rank - 1]);
  interval.ci_high = std::exp(logs[logs.size() - rank]);
  interval.confidence = confidence;
  interval.pairs = static_cast<std::int64_t>(logs.size());
  return interval;
}

Verdict verdict_of(const Interval& speedup, double margin) {
  if (speedup.ci_low > 1.0 && speedup.median >= 1.0 + margin) {
    return Verdict::kBetter;
  }
  if (speedup.ci_high < 1.0 && speedup.median <= 1.0 - margin) {
    return Verdict::kWorse;
  }
  return Verdict::kNotResolved;
}

}  // namespace assay::harness
