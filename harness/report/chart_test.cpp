// SPDX-License-Identifier: Apache-2.0
// Where marks stand on the page's charts.
#include "harness/report/chart.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/record/testing.hpp"

namespace assay::harness::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ChallengeBoard challenge_of(const std::vector<Record>& records) {
  return make_board({records, {}}, {}, {}).devices.at(0).challenges.at(0);
}

TEST(Scale, is_logarithmic_between_its_ends) {
  const RatioScale scale{.low = 0.5, .high = 2.0};
  EXPECT_DOUBLE_EQ(scale.position(0.5), 0.0);
  EXPECT_DOUBLE_EQ(scale.position(1.0), 0.5);
  EXPECT_DOUBLE_EQ(scale.position(2.0), 1.0);
}

TEST(Scale, holds_every_interval_and_one) {
  const RatioScale scale =
      ratio_scale(challenge_of({testing::passed_record()}), "64x64/bf16/seed1");  // 1.5 [1.45, 1.55]
  EXPECT_LT(scale.low, 1.0);
  EXPECT_GT(scale.high, 1.55);
}

TEST(Ticks, are_few_round_and_include_one) {
  for (const auto& [low, high] :
       {std::pair{0.95, 1.05}, {0.9, 2.4}, {0.3, 1.2}, {0.05, 40.0}, {0.9, 12.0}, {0.001, 900.0}}) {
    const auto ticks = ratio_ticks({.low = low, .high = high});
    EXPECT_GE(ticks.size(), 3u) << low << " " << high;
    EXPECT_LE(ticks.size(), 8u) << low << " " << high;
    EXPECT_TRUE(std::find(ticks.begin(), ticks.end(), 1.0) != ticks.end()) << low << " " << high;
    EXPECT_TRUE(std::is_sorted(ticks.begin(), ticks.end()));
    EXPECT_GE(ticks.front(), low);
    EXPECT_LE(ticks.back(), high);
  }
}

TEST(Chart, shows_interval_pairs_and_share_of_the_ceiling) {
  Record record = testing::passed_record();
  auto& timing = testing::passed(record).timings[0];
  timing.candidate_samples_ns = {1000, 1000, 10};
  timing.baseline_samples_ns = {1500, 1480, 1500};  // the last pair is 150x: off the axis
  const ChallengeBoard challenge = challenge_of({record});
  const std::string chart = case_chart(challenge, record.case_name);
  EXPECT_THAT(chart, HasSubstr("<circle"));
  EXPECT_THAT(chart, HasSubstr("1.50x [1.45, 1.55] over plain, 64 pairs, graph"));
  EXPECT_THAT(chart, HasSubstr("96.7 %"));
  std::size_t pair_ticks = 0;
  for (std::size_t at = chart.find("v10"); at != std::string::npos; at = chart.find("v10", at + 1)) {
    ++pair_ticks;
  }
  EXPECT_EQ(pair_ticks, 2u);
}

TEST(Chart, bars_stop_at_the_ceiling) {
  Record record = testing::passed_record();
  testing::passed(record).work->fraction = 1.02;
  const ChallengeBoard challenge = challenge_of({record});
  EXPECT_THAT(case_chart(challenge, record.case_name),
              HasSubstr(R"(width="125.0" height="10" rx="2"><title>)"));
}

TEST(Chart, nothing_timed_draws_nothing) {
  const ChallengeBoard challenge = challenge_of({testing::record_with(Skipped{"no GPU"})});
  EXPECT_EQ(case_chart(challenge, challenge.cases.at(0)), "");
}

TEST(PointsBar, segments_are_as_wide_as_their_points) {
  const auto decide = [](const RecordFile&, const CurrentSources&) { return RubricLine::Decision{}; };
  const std::vector<Rubric> rubrics = {
      {"example", "Example", {{"three", 3, decide}, {"minus", -3, decide}, {"one", 1, decide}}}};
  const Board board = make_board({}, rubrics, {});
  const std::string bar = points_bar(board.rubrics.at(0));
  EXPECT_THAT(bar, HasSubstr(R"(x="1" y="0" width="58")"));
  EXPECT_THAT(bar, HasSubstr(R"(x="61" y="0" width="18")"));
  EXPECT_THAT(bar, HasSubstr(R"(viewBox="0 0 80 12")"));
  EXPECT_THAT(bar, Not(HasSubstr("minus")));
}

}  // namespace
}  // namespace assay::harness::report
