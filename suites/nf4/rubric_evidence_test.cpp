// SPDX-License-Identifier: Apache-2.0
#include "suites/nf4/rubric_evidence.hpp"

#include <gtest/gtest.h>

#include "harness/record/testing.hpp"

namespace assay::suites::nf4 {
namespace {


/// What decide_by_fields says of a proof by PTX that names these sources, when ours are "now".
Status status_of(const std::string& evidence) {
  harness::Check check = harness::testing::check_with("sm75_ptx", evidence, "passed");
  check.challenge = kRubricChallenge;
  check.device.kind = harness::DeviceKind::kCuda;
  check.provenance.sources_sha256.clear();  // it is about several implementations
  const harness::CurrentSources current{{{kRubricChallenge, kOurs}, "now"}};
  return decide_by_fields({.records = {}, .checks = {check}}, current, "sm75_ptx", {{"mismatches", 0}}, 1, -1)
      .status;
}

TEST(RubricEvidence, a_code_path_proved_with_older_or_unnamed_sources_is_stale) {
  EXPECT_EQ(status_of(R"({"mismatches":0,"sources":{"cuda_fused":"now"}})"), Status::kEarned);
  EXPECT_EQ(status_of(R"({"mismatches":0,"sources":{"cuda_fused":"before"}})"), Status::kStale);
  EXPECT_EQ(status_of(R"({"mismatches":0,"sources":{"triton_fused":"now"}})"), Status::kStale);
  EXPECT_EQ(status_of(R"({"mismatches":0})"), Status::kStale) << "proves nothing about these sources";
  EXPECT_EQ(status_of(R"({"mismatches":3,"sources":{"cuda_fused":"now"}})"), Status::kLost);
}

}  // namespace
}  // namespace assay::suites::nf4
