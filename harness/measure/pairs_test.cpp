// SPDX-License-Identifier: Apache-2.0
// The pair loop on samplers that draw their times from a generator and on a clock that the test moves.
#include "harness/measure/pairs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <stdexcept>
#include <string>

#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

/// Logs its letter at every sample.
class FakeSampler final : public Sampler {
 public:
  FakeSampler(char letter, std::string& log, std::function<double()> draw)
      : letter_(letter), log_(log), draw_(std::move(draw)) {}
  double sample_ns(std::int64_t) override {
    log_ += letter_;
    return draw_();
  }

 private:
  char letter_;
  std::string& log_;
  std::function<double()> draw_;
};

ClockWatch no_clocks() {
  return ClockWatch(ClockWatch::Reader{});
}

struct Taken {
  std::string order;
  PairedSamples samples;
};

Taken run_with(const MeasureOptions& options, const std::function<double()>& candidate_ns,
               const std::function<double()>& baseline_ns, double seconds_per_pair = 0.0) {
  Taken taken;
  FakeSampler candidate('c', taken.order, candidate_ns);
  FakeSampler baseline('b', taken.order, baseline_ns);
  ClockWatch clocks = no_clocks();
  const auto elapsed = [&] { return seconds_per_pair * static_cast<double>(taken.order.size()) / 2; };
  taken.samples = sample_pairs(candidate, baseline, options, clocks, elapsed);
  return taken;
}

std::function<double()> noisy(std::mt19937_64& random, double scale, double sigma) {
  return [&random, scale, sigma] { return scale * std::lognormal_distribution<double>(0.0, sigma)(random); };
}

TEST(SamplePairs, every_pair_holds_both_sides_and_their_order_is_random) {
  std::mt19937_64 random(1);
  const Taken taken = run_with({}, noisy(random, 1.0, 0.1), noisy(random, 1.0, 0.1));
  ASSERT_EQ(taken.order.size() % 2, 0u);
  int candidate_first = 0;
  for (std::size_t i = 0; i < taken.order.size(); i += 2) {
    ASSERT_NE(taken.order[i], taken.order[i + 1]);
    candidate_first += taken.order[i] == 'c';
  }
  const int pairs = static_cast<int>(taken.order.size() / 2);
  EXPECT_GT(candidate_first, pairs / 4);
  EXPECT_LT(candidate_first, pairs * 3 / 4);
}

TEST(SamplePairs, order_depends_on_the_seed_alone) {
  std::mt19937_64 random(1);
  MeasureOptions options;
  const auto order = [&](std::uint64_t seed) {
    options.seed = seed;
    return run_with(options, noisy(random, 1.0, 0.1), noisy(random, 1.0, 0.1)).order;
  };
  EXPECT_EQ(order(5), order(5));
  EXPECT_NE(order(5), order(6));
}

TEST(SamplePairs, times_stay_on_the_side_that_took_them) {
  const Taken taken = run_with(
      {}, [] { return 2.0; }, [] { return 3.0; });
  EXPECT_EQ(taken.samples.candidate_ns, std::vector<double>(taken.samples.candidate_ns.size(), 2.0));
  EXPECT_EQ(taken.samples.baseline_ns, std::vector<double>(taken.samples.baseline_ns.size(), 3.0));
}

TEST(SamplePairs, steady_times_end_at_the_fewest_pairs) {
  MeasureOptions options;
  const Taken taken = run_with(
      options, [] { return 1.0; }, [] { return 1.3; });
  EXPECT_EQ(taken.samples.candidate_ns.size(), static_cast<std::size_t>(options.min_pairs));
  EXPECT_TRUE(taken.samples.notes.empty());
}

TEST(SamplePairs, noisy_times_go_on_to_the_most_pairs) {
  std::mt19937_64 random(2);
  MeasureOptions options;
  const Taken taken = run_with(options, noisy(random, 1.0, 0.2), noisy(random, 1.0, 0.2));
  EXPECT_EQ(taken.samples.candidate_ns.size(), static_cast<std::size_t>(options.max_pairs));
}

TEST(SamplePairs, the_budget_ends_a_slow_run_and_leaves_a_note) {
  std::mt19937_64 random(3);
  MeasureOptions options;
  options.budget_seconds = 2.0;
  const Taken taken = run_with(options, noisy(random, 1.0, 0.2), noisy(random, 1.0, 0.2), 0.2);
  EXPECT_EQ(taken.samples.candidate_ns.size(), 10u);  // 10 · 0.2 s
  ASSERT_EQ(taken.samples.notes.size(), 1u);
  EXPECT_EQ(taken.samples.notes[0], "the time budget of 2 s ended after 10 pairs (24 were asked for)");
}

TEST(SamplePairs, six_pairs_are_taken_however_long_they_last) {
  std::mt19937_64 random(4);
  const Taken taken = run_with({}, noisy(random, 1.0, 0.2), noisy(random, 1.0, 0.2), 100.0);
  EXPECT_EQ(taken.samples.candidate_ns.size(), 6u);
}

TEST(SamplePairs, options_that_cannot_end_in_an_interval_are_refused) {
  const auto run = [](int min_pairs, int max_pairs, double budget) {
    MeasureOptions options;
    options.min_pairs = min_pairs;
    options.max_pairs = max_pairs;
    options.budget_seconds = budget;
    run_with(
        options, [] { return 1.0; }, [] { return 1.0; });
  };
  EXPECT_THROW(run(5, 64, 2.0), std::invalid_argument);
  EXPECT_THROW(run(24, 23, 2.0), std::invalid_argument);
  EXPECT_THROW(run(24, 64, 0.0), std::invalid_argument);
  EXPECT_NO_THROW(run(6, 6, 2.0));
}

TEST(SamplePairs, what_a_sampler_throws_passes_through) {
  const auto broken = []() -> double { throw std::runtime_error("kernel launch failed"); };
  EXPECT_THROW(run_with({}, broken, [] { return 1.0; }), std::runtime_error);
}

TEST(StopAfter, looks_at_the_interval_only_on_the_schedule) {
  PairedSamples samples;
  MeasureOptions options;
  const auto stop_at = [&](std::size_t pairs) {
    samples.candidate_ns.assign(pairs, 1.0);
    samples.baseline_ns.assign(pairs, 1.0);
    return stop_after(samples, 0.0, options);
  };
  for (const std::size_t look : {24, 32, 40, 50, 62, 77}) {
    EXPECT_EQ(stop_at(look - 1), Stop::kGoOn);
    EXPECT_EQ(stop_at(look), Stop::kTight);
    EXPECT_EQ(stop_at(look + 1), Stop::kGoOn);
  }
  EXPECT_EQ(stop_at(static_cast<std::size_t>(options.max_pairs)), Stop::kAllPairs);
}

TEST(IntervalOfRun, of_six_pairs_is_the_whole_range_and_promises_95_percent) {
  PairedSamples samples;
  samples.candidate_ns.assign(6, 1.0);
  samples.baseline_ns = {1.5, 1.1, 1.2, 1.6, 1.3, 1.4};
  const Interval interval = interval_of_run(samples);
  EXPECT_NEAR(interval.ci_low, 1.1, 1e-12);
  EXPECT_NEAR(interval.ci_high, 1.6, 1e-12);
  EXPECT_DOUBLE_EQ(interval.confidence, 0.95);
}

struct Simulated {
  double covered = 0, resolved = 0, mean_pairs = 0;
};

/// Whole runs, stopping rule included, of sides whose true ratio is 1.
Simulated simulate(double sigma, int trials) {
  std::mt19937_64 random(20261122);
  Simulated result;
  for (int trial = 0; trial < trials; ++trial) {
    MeasureOptions options;
    options.seed = static_cast<std::uint64_t>(trial);
    const PairedSamples samples =
        run_with(options, noisy(random, 1.0, sigma), noisy(random, 1.0, sigma)).samples;
    const Interval interval = interval_of_run(samples);
    result.covered += interval.ci_low <= 1.0 && 1.0 <= interval.ci_high;
    result.resolved += verdict_of(interval) != Verdict::kNotResolved;
    result.mean_pairs += static_cast<double>(interval.pairs);
  }
  result.covered /= trials;
  result.resolved /= trials;
  result.mean_pairs /= trials;
  return result;
}

TEST(StoppingRule, the_interval_of_a_stopped_run_holds_the_truth_in_95_percent) {
  // Noise of a side at which the rule stops at every look of its schedule, and around it.
  for (const double sigma : {0.001, 0.003, 0.004, 0.005, 0.007, 0.01, 0.03}) {
    const Simulated result = simulate(sigma, 2000);
    EXPECT_GE(result.covered, 0.95) << "sigma " << sigma << ", " << result.mean_pairs << " pairs";
    RecordProperty("covered_at_sigma_" + std::to_string(sigma), std::to_string(result.covered));
  }
}

TEST(StoppingRule, calls_same_against_same_resolved_in_under_5_percent) {
  for (const double sigma : {0.005, 0.05, 0.2}) {
    EXPECT_LT(simulate(sigma, 2000).resolved, 0.05) << sigma;
  }
}

TEST(StoppingRule, never_resolves_same_against_same_where_it_stops_early) {
  for (const double sigma : {0.003, 0.01}) {
    EXPECT_EQ(simulate(sigma, 2000).resolved, 0.0);
  }
}

}  // namespace
}  // namespace assay::harness
