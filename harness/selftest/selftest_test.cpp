// SPDX-License-Identifier: Apache-2.0
// The checks against implementations whose faults are known, and run_mutants against wrong expectations.
#include "harness/selftest/selftest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/device/device.hpp"
#include "harness/selftest/scale_cpu.hpp"
#include "harness/verify/verify.hpp"

namespace assay::harness::selftest {
namespace {

constexpr DeviceKind kCpu = DeviceKind::kCpu;

void expect_as_known(const SelftestResult& result) {
  for (const SelftestRow& row : result.rows) {
    EXPECT_EQ(row.seen, row.expected) << row.implementation << " on " << row.case_name << ": " << row.reason;
    EXPECT_EQ(row.seen == "passed", row.reason.empty()) << row.implementation << ": a rejection has a reason";
  }
  EXPECT_TRUE(result.passed()) << selftest_table(result);
}

std::vector<std::string> checks_with_a_mutant(const Challenge& challenge, DeviceKind device) {
  std::vector<std::string> names;
  for (const Implementation& implementation : challenge.implementations) {
    if (implementation.device == device && implementation.role == Role::kMutant) {
      names.push_back(implementation.expected_check);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

TEST(Selftest, every_cpu_implementation_is_judged_as_known) {
  const Challenge challenge = scale_challenge();
  const SelftestResult result = run_mutants(challenge, {kCpu});
  expect_as_known(result);
  const auto mutants = scale_cpu_mutants().size(), right = scale_cpu().size();
  EXPECT_EQ(result.rows.size(), mutants + right * challenge.cases.size()) << "nothing was left out";
}

TEST(GpuSelftest, every_cuda_implementation_is_judged_as_known) {
  if (!cuda_available()) {
    GTEST_SKIP() << cuda_unavailable_reason();
  }
  const Challenge challenge = scale_challenge();
  const SelftestResult result = run_mutants(challenge, {DeviceKind::kCuda});
  expect_as_known(result);
  EXPECT_EQ(result.rows.size(), scale_cuda_mutants().size() + scale_cuda().size() * challenge.cases.size());
}

TEST(Selftest, every_check_has_a_mutant_that_it_alone_catches) {
  const Challenge challenge = scale_challenge();
  EXPECT_THAT(checks_with_a_mutant(challenge, kCpu),
              testing::UnorderedElementsAre(checks::kRunError, checks::kCanary, checks::kInputMutated,
                                            checks::kUnwritten, checks::kParity, checks::kStaleInput,
                                            checks::kGraphReplay, checks::kDeterminism));
  EXPECT_THAT(
      checks_with_a_mutant(challenge, DeviceKind::kCuda),
      testing::UnorderedElementsAre(checks::kRunError, checks::kCanary, checks::kInputMutated,
                                    checks::kUnwritten, checks::kParity, checks::kStaleInput, checks::kStream,
                                    checks::kHostSync, checks::kGraphReplay, checks::kDeterminism));
}

/// selftest/scale with the baseline and one more implementation, on its first case.
Challenge with_only(Implementation implementation) {
  Challenge challenge = scale_challenge();
  challenge.cases.resize(1);
  challenge.implementations = {scale_cpu().front(), std::move(implementation)};
  return challenge;
}
Implementation right_body(Implementation implementation) {
  return with_body(std::move(implementation),
                   [] { return [](const ScaleViews& v) { scale(v, 0, v.count()); }; });
}

TEST(RunMutants, a_mutant_that_passes_is_a_failure) {
  const SelftestResult result =
      run_mutants(with_only(right_body(wrong_one("harmless", kCpu, "", checks::kParity))), {kCpu});
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.rows.back().seen, "passed");
  EXPECT_THAT(selftest_table(result), testing::HasSubstr("NOT AS EXPECTED"));
}

TEST(RunMutants, a_mutant_rejected_by_another_check_is_a_failure) {
  Implementation no_op =
      with_body(wrong_one("no_op", kCpu, "", checks::kParity), [] { return [](const ScaleViews&) {}; });
  const SelftestResult result = run_mutants(with_only(std::move(no_op)), {kCpu});
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.rows.back().seen, checks::kUnwritten);
}

TEST(RunMutants, a_rejected_candidate_is_a_failure) {
  Challenge challenge = scale_challenge();
  challenge.cases.resize(1);
  challenge.implementations.push_back(
      with_body(right_one("wrong", kCpu, ""), [] { return [](const ScaleViews&) {}; }));
  const SelftestResult result = run_mutants(challenge, {kCpu});
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(
      std::count_if(result.rows.begin(), result.rows.end(), [](const SelftestRow& row) { return !row.ok; }),
      1);
}

TEST(RunMutants, without_any_mutant_nothing_was_shown) {
  const SelftestResult result = run_mutants(with_only(right_body(right_one("right", kCpu, ""))), {kCpu});
  EXPECT_EQ(result.rows.size(), 2u);
  EXPECT_FALSE(result.passed());
}

TEST(RunMutants, a_mutant_that_no_case_runs_is_a_failure) {
  Implementation choosy = right_body(wrong_one("choosy", kCpu, "", checks::kParity));
  choosy.unsupported = [](const Case&, const DeviceFacts&) { return std::optional<std::string>("never"); };
  const SelftestResult result = run_mutants(with_only(std::move(choosy)), {kCpu});
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.rows.back().seen, "not run");
}

TEST(RunMutants, a_mutant_must_not_be_skipped_but_a_peer_may) {
  const auto skipping = [](Implementation implementation) {
    implementation.prepare = [](const Case&, const TensorSet&, TensorSet&, CallStyle) -> Invocation {
      throw Skip("its library is not installed");
    };
    return implementation;
  };
  EXPECT_TRUE(run_mutants(with_only(skipping(right_one("peer", kCpu, ""))), {kCpu}).rows.back().ok);
  EXPECT_FALSE(run_mutants(with_only(skipping(wrong_one("mutant", kCpu, "", checks::kParity))), {kCpu})
                   .rows.back()
                   .ok);
}

TEST(RunMutants, a_mutant_that_cannot_be_judged_is_not_taken_for_a_run_error) {
  Challenge challenge = with_only(right_body(wrong_one("mutant", kCpu, "", checks::kRunError)));
  challenge.implementations.erase(
      challenge.implementations.begin());  // no baseline, so nothing to hold errors against
  const SelftestResult result = run_mutants(challenge, {kCpu});
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.rows.back().seen, "failed");
}

TEST(RunMutants, each_row_is_reported_as_it_is_known) {
  std::vector<std::string> told;
  const SelftestResult result =
      run_mutants(with_only(right_body(right_one("right", kCpu, ""))), {kCpu},
                  [&](const SelftestRow& row) { told.push_back(row.implementation); });
  EXPECT_EQ(told.size(), result.rows.size());
}

}  // namespace
}  // namespace assay::harness::selftest
