// SPDX-License-Identifier: Apache-2.0
// measure_pair on the CPU: what it calls, how often, on which sets, and how it ends. Times themselves:
// aa_trials_test.
#include "harness/measure/measure.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <stdexcept>
#include <thread>

#include "harness/measure/ceilings.hpp"
#include "harness/measure/statistics.hpp"

namespace assay::harness {
namespace {

using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;

const DeviceInfo& cpu() {
  static const DeviceInfo device = describe(DeviceKind::kCpu);
  return device;
}

/// Busy for `us` by the clock itself: a time known beforehand on any machine.
void spin(double us) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double, std::micro>(us);
  while (std::chrono::steady_clock::now() < end) {
  }
}

/// Every set counts its calls; each call spins.
struct Counted {
  Counted(int sets, double us) : counts(static_cast<std::size_t>(sets), 0) {
    for (int set = 0; set < sets; ++set) {
      prepared.into.push_back([this, set, us](Stream stream) {
        EXPECT_EQ(stream, nullptr);
        ++counts[static_cast<std::size_t>(set)];
        spin(us);
      });
    }
  }
  Counted(const Counted&) = delete;  // the calls point here
  std::vector<int> counts;
  Prepared prepared;
};

MeasureOptions pairs(int count) {
  MeasureOptions options;
  options.min_pairs = options.max_pairs = count;
  options.budget_seconds = 20.0;
  return options;
}
MeasureOptions quick() {
  return pairs(24);
}

TEST(MeasurePair, fills_every_field_from_the_samples) {
  Counted slow(4, 60.0), fast(4, 30.0);
  const Timing timing = measure_pair(TimeMode::kGraph, fast.prepared, slow.prepared, cpu(), quick());
  EXPECT_EQ(timing.mode, TimeMode::kGraph);
  ASSERT_EQ(timing.candidate_samples_ns.size(), 24u);
  ASSERT_EQ(timing.baseline_samples_ns.size(), 24u);
  EXPECT_DOUBLE_EQ(timing.candidate_ns, median(timing.candidate_samples_ns));
  EXPECT_DOUBLE_EQ(timing.baseline_ns, median(timing.baseline_samples_ns));
  ASSERT_TRUE(timing.speedup.has_value());
  EXPECT_EQ(timing.speedup->pairs, 24);
  EXPECT_THAT(timing.candidate_samples_ns, Each(Gt(30'000.0 - 1.0)));
  EXPECT_THAT(timing.baseline_samples_ns, Each(Gt(60'000.0 - 1.0)));
  EXPECT_NEAR(timing.speedup->median, 2.0, 0.2);
  EXPECT_EQ(timing.verdict, Verdict::kBetter);
}

TEST(MeasurePair, swapping_the_sides_swaps_the_verdict) {
  Counted slow(4, 60.0), fast(4, 30.0);
  EXPECT_EQ(measure_pair(TimeMode::kGraph, slow.prepared, fast.prepared, cpu(), quick()).verdict,
            Verdict::kWorse);
}

TEST(MeasurePair, both_sides_use_every_set_equally_often) {
  Counted candidate(5, 40.0), baseline(5, 40.0);
  measure_pair(TimeMode::kGraph, candidate.prepared, baseline.prepared, cpu(), pairs(25));
  for (Counted* side : {&candidate, &baseline}) {
    const auto [least, most] = std::minmax_element(side->counts.begin(), side->counts.end());
    EXPECT_GT(*least, 5);
    EXPECT_LE(*most - *least, 3);  // sizing tries a few sets once more
  }
}

TEST(MeasurePair, cold_makes_one_call_a_sample_and_rotates) {
  Counted candidate(3, 5.0), baseline(3, 5.0);
  measure_pair(TimeMode::kCold, candidate.prepared, baseline.prepared, cpu(), pairs(9));
  EXPECT_THAT(candidate.counts, Each(1 + 9 / 3));  // warm-up once a set
  EXPECT_THAT(baseline.counts, Each(1 + 9 / 3));
}

TEST(MeasurePair, cold_finds_nothing_in_the_cache) {
  std::vector<std::byte> data(1 << 20);
  const auto read = [&data](Stream) {
    unsigned sum = 0;
    for (std::size_t i = 0; i < data.size(); i += 64) {
      sum += std::to_integer<unsigned>(data[i]);
    }
    asm volatile("" : : "r"(sum));
  };
  Prepared reader;
  reader.into = {read, read};
  const Timing warm = measure_pair(TimeMode::kGraph, reader, reader, cpu(), quick());
  const Timing cold = measure_pair(TimeMode::kCold, reader, reader, cpu(), pairs(9));
  EXPECT_GT(cold.candidate_ns, 1.5 * warm.candidate_ns);
}

TEST(MeasurePair, wall_times_the_calls_that_allocate) {
  Counted allocating(2, 20.0), into(2, 0.0);
  Prepared side;
  side.into = into.prepared.into;
  side.allocating = allocating.prepared.into;
  const Timing timing = measure_pair(TimeMode::kWall, side, side, cpu(), quick());
  EXPECT_THAT(timing.candidate_samples_ns, Each(Gt(20'000.0 - 1.0)));
  EXPECT_THAT(into.counts, Each(0));
}

TEST(MeasurePair, order_of_the_sides_is_random_and_repeats_with_the_seed) {
  const auto order = [](std::uint64_t seed) {
    std::string calls;
    const auto logged = [&calls](char side) {
      return [&calls, side](Stream) {
        calls += side;
        spin(300.0);  // fills a sample, so that a sample is one call
      };
    };
    Prepared candidate, baseline;
    candidate.into = {logged('c')};
    baseline.into = {logged('b')};
    MeasureOptions options = quick();
    options.seed = seed;
    measure_pair(TimeMode::kGraph, candidate, baseline, cpu(), options);
    return calls.substr(calls.size() - 2 * static_cast<std::size_t>(options.max_pairs));
  };
  const std::string first = order(1);
  EXPECT_EQ(first, order(1));
  EXPECT_NE(first, order(2));
  EXPECT_EQ(std::count(first.begin(), first.end(), 'c'), 24);
  EXPECT_THAT(first, HasSubstr("cc"));  // a pair that ends with c before one that begins with it
  EXPECT_THAT(first, HasSubstr("bb"));
}

TEST(MeasurePair, stays_near_its_budget) {
  Counted side(2, 20'000.0);
  MeasureOptions options;
  options.budget_seconds = 0.1;
  const auto begin = std::chrono::steady_clock::now();
  const Timing timing = measure_pair(TimeMode::kGraph, side.prepared, side.prepared, cpu(), options);
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(timing.speedup->pairs, 6);  // the fewest that carry an interval
  EXPECT_LT(spent.count(),
            22 * 0.020 * 3);  // 4 + 6 calls before, 12 in the pairs; three times for a busy machine
  ASSERT_FALSE(timing.notes.empty());
  EXPECT_THAT(timing.notes[0], HasSubstr("budget"));
}

TEST(MeasurePair, what_a_call_throws_passes_through) {
  Counted good(2, 1.0);
  Prepared bad;
  bad.into = {[](Stream) {}, [](Stream) { throw OutOfMemory("no room"); }};
  for (const TimeMode mode : {TimeMode::kGraph, TimeMode::kCold}) {
    EXPECT_THROW(measure_pair(mode, bad, good.prepared, cpu(), quick()), OutOfMemory);
    EXPECT_THROW(measure_pair(mode, good.prepared, bad, cpu(), quick()), OutOfMemory);
  }
}

TEST(MeasurePair, sides_that_do_not_match_are_refused) {
  Counted two(2, 1.0), three(3, 1.0);
  EXPECT_THROW(measure_pair(TimeMode::kGraph, two.prepared, three.prepared, cpu(), quick()),
               std::invalid_argument);
  EXPECT_THROW(measure_pair(TimeMode::kGraph, Prepared{}, Prepared{}, cpu(), quick()), std::invalid_argument);
  EXPECT_THROW(measure_pair(TimeMode::kWall, two.prepared, two.prepared, cpu(), quick()),
               std::invalid_argument);
}

TEST(MeasurePair, without_cuda_a_cuda_device_is_skipped_with_the_reason) {
  if (cuda_available()) {
    GTEST_SKIP() << "this machine has CUDA";
  }
  DeviceInfo gpu;
  gpu.kind = DeviceKind::kCuda;
  Counted side(2, 1.0);
  for (const TimeMode mode : {TimeMode::kGraph, TimeMode::kCold, TimeMode::kWall}) {
    try {
      measure_pair(mode, side.prepared, side.prepared, gpu, quick());
      FAIL() << "expected Skip";
    } catch (const Skip& skip) {
      EXPECT_THAT(skip.what(), HasSubstr(cuda_unavailable_reason()));
    }
  }
  EXPECT_THROW(measure_ceilings(gpu), Skip);
  EXPECT_THROW(measure_noise(gpu, 1, quick()), Skip);
  EXPECT_THAT(side.counts, Each(0));
}

TEST(MeasureCeilings, of_the_cpu_are_positive_plausible_and_quick) {
  const std::clock_t begin = std::clock();
  const Ceilings ceilings = measure_ceilings(cpu());
  // Processor time a thread: what the clock on the wall would show on a free machine.
  const double seconds =
      static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / std::max(1, cpu().cores);
  EXPECT_GT(ceilings.copy_gbps, 1.0);
  EXPECT_LT(ceilings.copy_gbps, 2000.0);
  EXPECT_GT(ceilings.fill_gbps, 1.0);
  EXPECT_GT(ceilings.event_overhead_us, 0.0);
  EXPECT_LT(ceilings.event_overhead_us, 100.0);
  EXPECT_GT(ceilings.launch_us, 0.0);
  EXPECT_FALSE(ceilings.matmul_bf16_tflops.has_value());
  EXPECT_FALSE(ceilings.matmul_f16_tflops.has_value());
  EXPECT_LT(seconds, 2.0);
}

}  // namespace
}  // namespace assay::harness
