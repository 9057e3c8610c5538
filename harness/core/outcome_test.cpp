// SPDX-License-Identifier: Apache-2.0
// Outcomes print as records name them.
#include "harness/core/outcome.hpp"

#include <gtest/gtest.h>

#include "harness/core/challenge.hpp"

namespace assay::harness {
namespace {

TEST(Outcome, names_are_those_of_the_record_schema) {
  EXPECT_EQ(outcome_name(Passed{}), "passed");
  EXPECT_EQ(outcome_name(Wrong{}), "wrong");
  EXPECT_EQ(outcome_name(Skipped{}), "skipped");
  EXPECT_EQ(outcome_name(Failed{}), "failed");
  EXPECT_EQ(outcome_name(TimedOut{}), "timed_out");
  EXPECT_EQ(outcome_name(OutOfMemoryOutcome{}), "out_of_memory");
}

TEST(Outcome, only_passed_has_no_reason) {
  EXPECT_EQ(outcome_reason(Passed{}), "");
  EXPECT_EQ(outcome_reason(Skipped{"no GPU"}), "no GPU");
  EXPECT_EQ(outcome_reason(Failed{"threw"}), "threw");
  EXPECT_EQ(outcome_reason(TimedOut{"after 60 s"}), "after 60 s");
  EXPECT_EQ(outcome_reason(OutOfMemoryOutcome{"8 GiB"}), "8 GiB");
}

TEST(Outcome, the_reason_of_wrong_begins_with_the_check_that_rejected_it) {
  EXPECT_EQ(outcome_reason(Wrong{"parity", "element 3 differs", std::nullopt}), "parity: element 3 differs");
  EXPECT_EQ(outcome_reason(Wrong{"", "no check ran", std::nullopt}), "no check ran");
}

TEST(Role, names_are_those_of_the_record_schema) {
  EXPECT_EQ(name_of(Role::kOracle), "oracle");
  EXPECT_EQ(name_of(Role::kBaseline), "baseline");
  EXPECT_EQ(name_of(Role::kCandidate), "candidate");
  EXPECT_EQ(name_of(Role::kPeer), "peer");
  EXPECT_EQ(name_of(Role::kMutant), "mutant");
  EXPECT_THROW(name_of(static_cast<Role>(99)), std::invalid_argument);
}

}  // namespace
}  // namespace assay::harness
