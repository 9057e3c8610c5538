// SPDX-License-Identifier: Apache-2.0
// Pure functions of samples. Sources of the formulas beside each declaration.
#pragma once

#include <cstdint>
#include <span>

#include "harness/core/outcome.hpp"

namespace assay::harness {

double median(std::span<const double> values);              ///< throws on empty
double quantile(std::span<const double> values, double q);  ///< linear interpolation (type 7)
double median_absolute_deviation(std::span<const double> values);

/// Ratio baseline/candidate from paired samples: median of log ratios with the exact sign-test
/// (order-statistic) interval, so no distribution is assumed. Needs at least 6 pairs (fewer cannot give 95
/// %): throws.
Interval paired_ratio(std::span<const double> baseline, std::span<const double> candidate,
                      double confidence = 0.95);

inline constexpr double kVerdictMargin = 0.005;

/// kBetter/kWorse only if the interval excludes 1 *and* the median is at least `margin` away from it (default
/// 0.5 %, the resolution below which same-against-same runs of a GPU were seen to differ); otherwise
/// kNotResolved.
Verdict verdict_of(const Interval& speedup, double margin = kVerdictMargin);

}  // namespace assay::harness
