// SPDX-License-Identifier: Apache-2.0
// Statistics against numbers worked out by hand, and the interval's coverage against simulated truth.
#include "harness/measure/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

namespace assay::harness {
namespace {

using Values = std::vector<double>;

TEST(Median, of_an_odd_count_is_the_middle_value) {
  EXPECT_DOUBLE_EQ(median(Values{9, 1, 4}), 4.0);
}

TEST(Median, of_an_even_count_is_the_mean_of_the_two_in_the_middle) {
  EXPECT_DOUBLE_EQ(median(Values{8, 1, 2, 100}), 5.0);
}

TEST(Median, of_nothing_or_of_nan_is_refused) {
  EXPECT_THROW(median(Values{}), std::invalid_argument);
  EXPECT_THROW(median(Values{1, std::numeric_limits<double>::quiet_NaN(), 3}), std::invalid_argument);
}

TEST(Quantile, interpolates_between_neighbours_as_type_7) {
  const Values values{40, 10, 30, 20};  // q = 0.25 lies at position 0.75 of 10, 20, 30, 40
  EXPECT_DOUBLE_EQ(quantile(values, 0.25), 17.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.9), 37.0);
  EXPECT_DOUBLE_EQ(quantile(values, 0.0), 10.0);
  EXPECT_DOUBLE_EQ(quantile(values, 1.0), 40.0);
  EXPECT_THROW(quantile(values, 1.5), std::invalid_argument);
}

TEST(MedianAbsoluteDeviation, ignores_how_far_an_outlier_is) {
  EXPECT_DOUBLE_EQ(median_absolute_deviation(Values{1, 1, 2, 2, 4, 6, 9}), 1.0);  // distances 1 1 0 0 2 4 7
  EXPECT_DOUBLE_EQ(median_absolute_deviation(Values{1, 1, 2, 2, 4, 6, 9e9}), 1.0);
}

TEST(PairedRatio, six_pairs_give_the_whole_range) {
  const Values baseline{2, 3, 4, 5, 6, 7};
  const Values candidate{1, 1, 1, 1, 1, 1};
  const Interval interval = paired_ratio(baseline, candidate);
  EXPECT_NEAR(interval.ci_low, 2.0, 1e-12);
  EXPECT_NEAR(interval.ci_high, 7.0, 1e-12);
  EXPECT_NEAR(interval.median, std::sqrt(4.0 * 5.0), 1e-12);
  EXPECT_EQ(interval.pairs, 6);
  EXPECT_DOUBLE_EQ(interval.confidence, 0.95);
}

TEST(PairedRatio, five_pairs_cannot_carry_95_percent) {
  const Values five(5, 1.0);
  EXPECT_THROW(paired_ratio(five, five), std::invalid_argument);
  EXPECT_NO_THROW(paired_ratio(five, five, 0.90));  // 2 / 32 of the mass lies outside
}

/// Baseline 1, 2, …, n against 1: the interval's ends are the ranks themselves.
std::pair<int, int> ranks(int n, double confidence = 0.95) {
  Values baseline, candidate(n, 1.0);
  for (int i = 1; i <= n; ++i) {
    baseline.push_back(i);
  }
  const Interval interval = paired_ratio(baseline, candidate, confidence);
  return {static_cast<int>(std::lround(interval.ci_low)), static_cast<int>(std::lround(interval.ci_high))};
}

TEST(PairedRatio, ranks_are_those_of_the_sign_test_table) {
  // n: P(Binomial(n, 1/2) <= low - 1) <= 0.025 < P(… <= low). 10: 11/1024, 56/1024. 20: 0.0207, 0.0577.
  EXPECT_EQ(ranks(8), std::make_pair(1, 8));
  EXPECT_EQ(ranks(9), std::make_pair(2, 8));
  EXPECT_EQ(ranks(10), std::make_pair(2, 9));
  EXPECT_EQ(ranks(20), std::make_pair(6, 15));
  EXPECT_EQ(ranks(24), std::make_pair(7, 18));
  EXPECT_EQ(ranks(20, 0.99), std::make_pair(4, 17));
}

TEST(PairedRatio, thousands_of_pairs_do_not_underflow) {
  const auto [low, high] = ranks(4000);
  EXPECT_EQ(low + high, 4001);
  EXPECT_NEAR(low, 2000 - 1.96 * std::sqrt(4000) / 2, 2.0);  // normal approximation of the same rank
}

TEST(PairedRatio, pairing_cancels_drift) {
  Values baseline, candidate;
  for (int i = 0; i < 30; ++i) {
    const double drift = 1.0 + 0.2 * i;  // the machine gets seven times slower during the run
    baseline.push_back(3.0 * drift);
    candidate.push_back(2.0 * drift);
  }
  const Interval interval = paired_ratio(baseline, candidate);
  EXPECT_NEAR(interval.ci_low, 1.5, 1e-12);
  EXPECT_NEAR(interval.ci_high, 1.5, 1e-12);
}

TEST(PairedRatio, what_cannot_be_a_time_is_refused) {
  const Values good(10, 1.0);
  Values zero = good, nan = good, infinite = good;
  zero[3] = 0.0;
  nan[3] = std::numeric_limits<double>::quiet_NaN();
  infinite[3] = std::numeric_limits<double>::infinity();
  EXPECT_THROW(paired_ratio(good, zero), std::invalid_argument);
  EXPECT_THROW(paired_ratio(nan, good), std::invalid_argument);
  EXPECT_THROW(paired_ratio(infinite, good), std::invalid_argument);
  EXPECT_THROW(paired_ratio(good, Values(9, 1.0)), std::invalid_argument);
  EXPECT_THROW(paired_ratio(good, good, 1.0), std::invalid_argument);
}

/// Share of `trials` in which the interval holds `truth`. `draw` appends one pair (baseline, candidate).
double coverage(int trials, int pairs, double truth, const std::function<std::pair<double, double>()>& draw) {
  int hits = 0;
  for (int trial = 0; trial < trials; ++trial) {
    Values baseline, candidate;
    for (int i = 0; i < pairs; ++i) {
      const auto [b, c] = draw();
      baseline.push_back(b);
      candidate.push_back(c);
    }
    const Interval interval = paired_ratio(baseline, candidate);
    hits += interval.ci_low <= truth && truth <= interval.ci_high;
  }
  return static_cast<double>(hits) / trials;
}

TEST(Coverage, of_skewed_times_with_stalls_is_at_least_94_percent) {
  std::mt19937_64 random(20261122);
  std::exponential_distribution<double> tail(20.0);
  std::bernoulli_distribution stall(0.1);
  const auto time = [&](double base) { return base * (1.0 + tail(random)) * (stall(random) ? 4.0 : 1.0); };
  for (const int pairs : {6, 13, 24, 64}) {
    EXPECT_GE(coverage(4000, pairs, 1.3, [&] { return std::make_pair(time(1.3), time(1.0)); }), 0.94)
        << pairs;
  }
}

TEST(Coverage, of_a_one_sided_log_ratio_is_at_least_94_percent) {
  std::mt19937_64 random(7);
  std::exponential_distribution<double> tail(1.0);
  for (const int pairs : {6, 24, 40}) {  // the median of an exponential variable is ln 2, so the ratio's is 2
    EXPECT_GE(coverage(4000, pairs, 2.0, [&] { return std::make_pair(std::exp(tail(random)), 1.0); }), 0.94);
  }
}

TEST(Coverage, is_not_bought_by_an_interval_that_is_always_wide) {
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> noise(0.0, 0.01);
  int excluded = 0;
  for (int trial = 0; trial < 500; ++trial) {
    Values baseline, candidate;
    for (int i = 0; i < 24; ++i) {
      baseline.push_back(1.03 * noise(random));
      candidate.push_back(noise(random));
    }
    excluded += paired_ratio(baseline, candidate).ci_low > 1.0;
  }
  EXPECT_GE(excluded, 495);  // 3 % at 1.4 % noise a pair is over ten standard errors
}

Interval interval_of(double low, double mid, double high) {
  Interval interval;
  interval.ci_low = low;
  interval.median = mid;
  interval.ci_high = high;
  interval.pairs = 24;
  return interval;
}

TEST(VerdictOf, needs_the_interval_and_the_margin) {
  EXPECT_EQ(verdict_of(interval_of(1.01, 1.02, 1.03)), Verdict::kBetter);
  EXPECT_EQ(verdict_of(interval_of(0.96, 0.97, 0.98)), Verdict::kWorse);
  EXPECT_EQ(verdict_of(interval_of(0.99, 1.02, 1.05)), Verdict::kNotResolved);  // interval holds 1
  EXPECT_EQ(verdict_of(interval_of(0.95, 0.98, 1.01)), Verdict::kNotResolved);
  EXPECT_EQ(verdict_of(interval_of(1.001, 1.004, 1.005)), Verdict::kNotResolved);  // inside the margin
  EXPECT_EQ(verdict_of(interval_of(0.995, 0.996, 0.999)), Verdict::kNotResolved);
  EXPECT_EQ(verdict_of(interval_of(1.001, 1.004, 1.005), 0.001), Verdict::kBetter);
}

TEST(VerdictOf, nan_resolves_nothing) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(verdict_of(interval_of(nan, nan, nan)), Verdict::kNotResolved);
  EXPECT_EQ(verdict_of(interval_of(1.1, nan, 1.2)), Verdict::kNotResolved);
}

}  // namespace
}  // namespace assay::harness
