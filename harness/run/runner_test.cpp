// SPDX-License-Identifier: Apache-2.0
// Which checks of a suite a run makes. Judging cases: the suites' own tests and the selftest.
#include "harness/run/runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/core/outcome.hpp"

namespace assay::harness {
namespace {

using ::testing::ElementsAre;

/// Two checks and no case; "timed" takes times.
Challenge two_checks() {
  Challenge challenge;
  challenge.suite = "made", challenge.name = "made/up";
  const auto nothing = [](const DeviceFacts&) { return std::string("{}"); };
  challenge.checks = {{.name = "facts", .measures = false, .subject = "", .run = nothing},
                      {.name = "timed", .measures = true, .subject = "", .run = nothing}};
  return challenge;
}

std::vector<std::string> checks_of_run(std::vector<std::string> filters, bool checks_are_cases = false) {
  std::vector<std::string> seen;
  RunOptions options;
  options.filters = std::move(filters);
  options.devices = {DeviceKind::kCpu};
  options.measure = false;
  RunEvents events;
  events.check = [&seen](const Check& check) { seen.push_back(check.check + " " + check.outcome); };
  Challenge challenge = two_checks();
  challenge.checks_are_cases = checks_are_cases;
  EXPECT_TRUE(run({challenge}, options, events).all_passed());
  return seen;
}

TEST(Runner, a_filter_that_names_a_check_runs_it_without_any_case) {
  EXPECT_THAT(checks_of_run({"made/up/checks/facts"}), ElementsAre("facts passed"));
  EXPECT_THAT(checks_of_run({"made/up/checks/*"}), ElementsAre("facts passed")) << "verify takes no times";
}

TEST(Runner, checks_that_are_cases_run_wherever_their_challenge_is_named) {
  for (const std::vector<std::string>& filters :
       {std::vector<std::string>{}, {"made"}, {"made/up"}, {"made/up/checks/facts"}, {"other", "made"}})
    EXPECT_THAT(checks_of_run(filters, true), ElementsAre("facts passed"));
  EXPECT_THROW(checks_of_run({"other"}, true), UsageError);
}

TEST(Runner, a_filter_that_selects_neither_case_nor_check_is_the_callers_mistake) {
  EXPECT_THROW(checks_of_run({"made/up/checks/other"}), UsageError);
  EXPECT_THROW(checks_of_run({"made/up"}), UsageError)
      << "its checks come with its cases, of which there are none";
  EXPECT_THROW(checks_of_run({}), UsageError);
}

}  // namespace
}  // namespace assay::harness
