// SPDX-License-Identifier: Apache-2.0
// Notes of many timings, counted by hand.
#include "harness/report/notes.hpp"

#include <gtest/gtest.h>

namespace assay::harness::report {
namespace {

TEST(Notes, that_differ_only_in_figures_are_one_kind_with_ranges) {
  const auto kinds = kinds_of_notes({{"SM clock moved between 1755 and 1950 MHz during timing"},
                                     {"SM clock moved between 1305 and 1980 MHz during timing"}});
  ASSERT_EQ(kinds.size(), 1u);
  EXPECT_EQ(kinds[0].text, "SM clock moved between 1305–1755 and 1950–1980 MHz during timing");
  EXPECT_EQ(kinds[0].timings, 2u);
}

TEST(Notes, figures_that_stay_are_written_once) {
  const auto kinds = kinds_of_notes({{"the time budget of 0.25 s ended after 6 pairs (24 were asked for)"},
                                     {"the time budget of 2 s ended after 6 pairs (24 were asked for)"}});
  ASSERT_EQ(kinds.size(), 1u);
  EXPECT_EQ(kinds[0].text, "the time budget of 0.25–2 s ended after 6 pairs (24 were asked for)");
}

TEST(Notes, the_kind_of_most_timings_comes_first_and_a_timing_counts_once) {
  const auto kinds = kinds_of_notes({{"rare", "power cap", "power cap"}, {}, {"power cap"}});
  ASSERT_EQ(kinds.size(), 2u);
  EXPECT_EQ(kinds[0].text, "power cap");
  EXPECT_EQ(kinds[0].timings, 2u);
  EXPECT_EQ(kinds[1].timings, 1u);
}

TEST(Notes, digits_inside_words_are_no_figures) {
  const auto kinds = kinds_of_notes({{"needs sm_90 in bf16"}, {"needs sm_80 in bf16"}});
  EXPECT_EQ(kinds.size(), 2u);
}

TEST(Notes, none_give_none) {
  EXPECT_TRUE(kinds_of_notes({{}, {}}).empty());
}

}  // namespace
}  // namespace assay::harness::report
