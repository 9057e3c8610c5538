// SPDX-License-Identifier: Apache-2.0
#include "harness/report/error_chart.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/record/testing.hpp"

namespace assay::harness::report {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

Record with_errors(const std::string& name, Role role, const std::string& case_name,
                   std::vector<std::int64_t> histogram) {
  Record record = testing::passed_record(name, case_name);
  record.role = role;
  testing::passed(record).parity.ulp_histogram = std::move(histogram);
  return record;
}

ChallengeBoard board_of(const std::vector<Record>& records) {
  return make_board({records, {}}, {}, {}).devices.at(0).challenges.at(0);
}

TEST(Errors, are_pooled_over_the_cases_that_the_baseline_shares) {
  const ChallengeBoard board =
      board_of({with_errors("fused", Role::kCandidate, "a/bf16", {60, 40}),
                with_errors("fused", Role::kCandidate, "b/bf16", {90, 0, 10}),
                with_errors("fused", Role::kCandidate, "c/bf16", {0, 100}),  // the baseline has no such case
                with_errors("plain", Role::kBaseline, "a/bf16", {50, 50}),
                with_errors("plain", Role::kBaseline, "b/bf16", {50, 0, 0, 50})});
  const auto errors = errors_beside_baseline(board);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].cases, 2u);
  EXPECT_DOUBLE_EQ(errors[0].shares[0], 0.75);
  EXPECT_DOUBLE_EQ(errors[0].shares[1], 0.20);
  EXPECT_DOUBLE_EQ(errors[0].shares[2], 0.05);
  EXPECT_DOUBLE_EQ(errors[0].baseline_shares[0], 0.5);
  EXPECT_DOUBLE_EQ(errors[0].baseline_shares[3], 0.25);
}

TEST(Errors, far_ones_are_one_class) {
  const ChallengeBoard board =
      board_of({with_errors("fused", Role::kCandidate, "a/bf16", {1, 0, 0, 0, 0, 0, 1, 1, 1}),
                with_errors("plain", Role::kBaseline, "a/bf16", {4})});
  EXPECT_DOUBLE_EQ(errors_beside_baseline(board).at(0).shares[6], 0.75);
}

TEST(Errors, without_a_baseline_nothing_is_drawn) {
  const ChallengeBoard board = board_of({with_errors("fused", Role::kCandidate, "a/bf16", {1})});
  EXPECT_THAT(errors_beside_baseline(board), IsEmpty());
  EXPECT_EQ(error_chart(board), "");
}

TEST(Errors, are_drawn_as_shares_of_a_full_bar) {
  const std::string chart = error_chart(board_of({with_errors("fused", Role::kCandidate, "a/bf16", {50, 50}),
                                                  with_errors("plain", Role::kBaseline, "a/bf16", {100})}));
  EXPECT_THAT(chart, HasSubstr(R"(class="ulp1" x="517.5" y="5.0" width="282.5")"));
  EXPECT_THAT(chart, HasSubstr("50.0 % exact, 1 case"));
  EXPECT_THAT(chart, HasSubstr("100.0 % exact"));
}

}  // namespace
}  // namespace assay::harness::report
