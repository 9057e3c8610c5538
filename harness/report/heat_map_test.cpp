// SPDX-License-Identifier: Apache-2.0
// Which axes span a map, and what stands where.
#include "harness/report/heat_map.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/record/testing.hpp"

namespace assay::harness::report {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Record at(const std::string& case_name, double median = 1.5) {
  Record record = testing::passed_record("fused", case_name);
  testing::passed(record).timings = {
      testing::timing(TimeMode::kGraph, {median, median - 0.05, median + 0.05, 0.95, 64}, 1000, 1500)};
  return record;
}

ChallengeBoard board_of(const std::vector<std::string>& cases) {
  std::vector<Record> records;
  for (const std::string& name : cases) {
    records.push_back(at(name));
  }
  return make_board({records, {}}, {}, {}).devices.at(0).challenges.at(0);
}

TEST(HeatMaps, span_the_two_axes_with_most_values_and_fix_the_rest) {
  const ChallengeBoard board =
      board_of({"64x64/m1/bf16", "64x64/m16/bf16", "64x64/m2/bf16", "9x9/m1/bf16", "9x9/m2/bf16",
                "64x64/m1/f16", "64x64/m2/f16", "9x9/m1/f16", "9x9/m16/f16"});
  const auto maps = heat_maps(board);
  ASSERT_EQ(maps.size(), 2u);
  EXPECT_EQ(maps[0].fixed, "bf16");
  EXPECT_THAT(maps[0].rows, ElementsAre("m1", "m2", "m16")) << "figures ascend as figures";
  EXPECT_THAT(maps[0].columns, ElementsAre("9x9", "64x64"));
  EXPECT_EQ(maps[0].cells[2][0], nullptr) << "m16 of 9x9 was timed in f16 alone";
  EXPECT_NE(maps[0].cells[2][1], nullptr);
}

TEST(HeatMaps, a_seed_is_an_input_and_the_least_sure_of_a_shape_stands) {
  const ChallengeBoard board = make_board({{at("64x64/bf16/seed1", 1.5), at("64x64/bf16/seed2", 1.2),
                                            at("64x64/f16/seed1"), at("9x9/bf16/seed1"), at("9x9/f16/seed3")},
                                           {}},
                                          {}, {})
                                   .devices.at(0)
                                   .challenges.at(0);
  const auto maps = heat_maps(board);
  ASSERT_EQ(maps.size(), 1u);
  EXPECT_THAT(maps[0].rows, ElementsAre("9x9", "64x64"));
  EXPECT_THAT(maps[0].columns, ElementsAre("bf16", "f16"));
  EXPECT_EQ(maps[0].cells[1][0]->speedup->median, 1.2);
}

TEST(HeatMaps, few_places_or_one_axis_draw_nothing) {
  EXPECT_THAT(heat_maps(board_of({"64x64/bf16", "64x64/f16", "9x9/bf16"})), IsEmpty());
  EXPECT_THAT(heat_maps(board_of({"s1", "s2", "s3", "s4", "s5"})), IsEmpty());
  EXPECT_THAT(heat_maps(ChallengeBoard{}), IsEmpty());
}

TEST(Heat, grows_with_the_ratio_and_is_none_where_nothing_is_resolved) {
  const auto heat = [](double median) {
    return heat_of(testing::timing(TimeMode::kGraph, {median, median - 0.01, median + 0.01, 0.95, 64}, 1, 1));
  };
  EXPECT_EQ(heat(2.0), 3);
  EXPECT_EQ(heat(1.2), 2);
  EXPECT_EQ(heat(1.1), 1);
  EXPECT_EQ(heat(1.0), 0);
  EXPECT_EQ(heat(0.9), -1);
  EXPECT_EQ(heat(0.8), -2);
  EXPECT_EQ(heat(0.5), -3);
}

}  // namespace
}  // namespace assay::harness::report
